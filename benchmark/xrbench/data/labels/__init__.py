"""Labels: published states of findings as a truth for each label, or as one class an image."""
