"""Resampling of patients: bootstrap, jackknife, and the compiled kernels that compute metrics in many replicates."""
