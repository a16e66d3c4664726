"""Processes: one as a life, what both send each other, its end; spares. `spawn` has how one is made."""
