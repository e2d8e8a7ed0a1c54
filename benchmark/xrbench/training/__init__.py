"""From images to a trained network; the only room that imports torch."""
