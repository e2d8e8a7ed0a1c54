"""A plan bound to data, what decides its cached results, and how it is carried out and stored."""
