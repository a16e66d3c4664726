"""Link: the stream between a daemon and an agent, and what passes over it."""
