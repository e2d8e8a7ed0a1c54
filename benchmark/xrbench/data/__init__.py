"""From raw folders to one tidy frame, splits by patient, and pixels ready to train on; imports no torch."""
