"""Datasets as published and as selected: where they are, what they hold, whether they are complete."""
