"""Messaging: how messages find mailboxes: refs, the registry, topics, and actors' own requests."""
