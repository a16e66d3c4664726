"""Tree: a running tree: engines carry out, on actors, pools and subtrees, what the supervision machines decide."""
