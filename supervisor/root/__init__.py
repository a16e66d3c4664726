"""Root: what `Supervisor` is made of: the life of a tree, calls that change it, and what it shows."""
