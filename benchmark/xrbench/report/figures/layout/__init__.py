"""What figures share: style and files, panels and their grids, options of cards, images from the cache."""
