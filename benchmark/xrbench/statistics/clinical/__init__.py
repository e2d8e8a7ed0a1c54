"""What a decision rests on: operating points, curves, subgroups and label policies."""
