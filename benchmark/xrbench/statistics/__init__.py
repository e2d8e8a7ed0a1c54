"""How sure a figure is, and whether two differ: pure functions of truth, score and patient."""
