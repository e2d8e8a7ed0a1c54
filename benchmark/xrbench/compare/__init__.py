"""Compare two runs, or two methods of one run: paired differences with intervals, and a gate for tests."""
