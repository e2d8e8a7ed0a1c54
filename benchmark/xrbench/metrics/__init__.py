"""Figures of one set of predictions: pure functions of truth and score."""
