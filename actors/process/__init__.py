"""What is set on an actor's process: limits, options, descendants, diagnostics."""
