"""Child: what runs in an actor's process: startup, the loop that handles messages, the actor's context."""
