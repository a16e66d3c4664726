"""Mailboxes: where messages wait in the daemon, how they go to lives, and how they are settled."""
