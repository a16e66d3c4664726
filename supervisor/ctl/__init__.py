"""Actorctl: the operator's program and the typed client of the control socket, in a process of its own."""
