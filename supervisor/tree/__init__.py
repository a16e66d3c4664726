"""A running tree: engines carry out what the machines decide."""
