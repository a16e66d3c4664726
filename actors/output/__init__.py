"""What an actor prints and logs, on its way to the daemon."""
