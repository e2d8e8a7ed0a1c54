"""Annotations of images: bounding boxes."""
