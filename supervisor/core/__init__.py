"""The mind: what a supervisor decides, as values in and values out.

Law: nothing here waits, reads a clock, rolls dice, logs or touches a process; time and chance arrive in
the events.
May import: specs, errors and the words of `actors`; from the standard library enum, math, typing,
collections.abc.
"""
