"""Building blocks that a method card names: augmentation, losses, optimisers, samplers, schedules."""
