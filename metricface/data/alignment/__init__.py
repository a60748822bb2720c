"""From photographs to crops in which every face lies alike."""
