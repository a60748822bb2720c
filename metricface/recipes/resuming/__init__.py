"""What lets a training go on: checkpoints, and all the state and settings in them."""
