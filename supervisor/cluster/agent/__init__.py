"""Agent: what runs on each other machine: our own launcher, and the way between its lives and their daemon."""
