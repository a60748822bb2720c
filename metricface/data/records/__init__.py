"""Record files: what insightface keeps its training images and its verification pairs in."""
