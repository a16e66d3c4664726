"""Driver: the one process that uses Ray, and the daemon's side of it."""
