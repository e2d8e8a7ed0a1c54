"""Datasets as published and as selected: their folders, contents and completeness."""
