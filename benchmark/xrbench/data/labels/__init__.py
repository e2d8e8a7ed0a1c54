"""From what a dataset says of an image to a truth for each label, or to one class."""
