"""Processes: spawning them, spares, and one process as a life."""
