"""Differences between models, tests over many of them, and the verdicts they allow."""
