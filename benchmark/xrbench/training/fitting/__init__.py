"""Training of one network: epochs, validation and checkpoints."""
