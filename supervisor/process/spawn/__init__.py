"""Spawn: a process from nothing to the point where it waits for what it is to run."""
