"""Readers, one for each published layout: from the folder of a dataset to a tidy frame.

A reader is a function ``read(root, *, vocabulary, labels, **options) -> Reading``, named as a block. It reads metadata only: it
gives the path of each image and never opens one.
"""
