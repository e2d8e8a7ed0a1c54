"""From cached pixels to tensors on the device."""
