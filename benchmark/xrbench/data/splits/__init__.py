"""Splits: which patients a model is trained, validated and tested on."""
