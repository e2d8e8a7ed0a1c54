"""Predictions in files, made elsewhere: read, evaluated and reported as those of runs are."""
