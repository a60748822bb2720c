"""Which miner converges where: one network, the same batches, one method after another."""
