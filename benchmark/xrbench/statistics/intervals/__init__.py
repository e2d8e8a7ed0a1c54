"""Metrics of one sample with their confidence intervals."""
