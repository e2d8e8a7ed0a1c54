"""One reader a published layout: from a folder as it is handed out to one tidy frame.

Every reader is ``read(root, *, vocabulary, labels, **options) -> Reading`` and is found by the name of its block. It reads
metadata only, says where each image should be, and never opens one.
"""
