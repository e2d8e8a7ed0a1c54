"""What readers drew on images: bounding boxes."""
