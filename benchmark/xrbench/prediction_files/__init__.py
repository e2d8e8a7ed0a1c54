"""Predictions that somebody else made: read, judged and shown as those of runs are."""
