"""Pixel caches: images are decoded once and read at memory speed afterwards."""
