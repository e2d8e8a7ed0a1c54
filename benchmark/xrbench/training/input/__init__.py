"""Network input: cached pixels as tensors on the device."""
