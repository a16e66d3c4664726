"""Mailboxes: where messages wait in the daemon, and how they are settled."""
