"""Tree: engines carry out what the supervision machines decide."""
