"""Inference: differences between models, tests over many of them, power and verdicts."""
