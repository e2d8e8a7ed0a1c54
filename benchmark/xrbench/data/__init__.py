"""Data: readers, labels, splits by patient, and pixel caches; never imports torch."""
