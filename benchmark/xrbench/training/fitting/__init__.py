"""Training one network: epochs, validation, checkpoints."""
