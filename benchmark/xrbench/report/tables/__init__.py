"""Tables in the layouts of the papers."""
