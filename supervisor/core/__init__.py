"""Core: what a supervisor decides, as values in and values out.

Nothing here waits, reads a clock, rolls dice, logs or touches a process; time and chance arrive in the events.
"""
