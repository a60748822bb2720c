"""What lets several processes train as one: the batch, the loss and the network of all."""
