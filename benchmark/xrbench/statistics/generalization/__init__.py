"""Generalization to other domains: gaps, domain matrices, the variance over seeds and its components."""
