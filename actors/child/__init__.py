"""What runs in an actor's process: start, the loop that handles messages, the actor's context."""
