"""Rules: the tables of supervision: states, what follows from a death, how often and how soon. Pure."""
