"""From one domain to another: gaps, domain matrices, the variance over seeds and its components."""
