"""What changes images: augmentation, and degradation for tests."""
