"""Clinical evaluation: operating points, curves, subgroups and label policies."""
