"""Images of one's own as they lie: folders of classes, lists, arrays."""
