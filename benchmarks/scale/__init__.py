"""What the library costs as the data grows."""
