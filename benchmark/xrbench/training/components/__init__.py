"""Components that a method card names: augmentations, losses, optimisers, samplers and schedules."""
