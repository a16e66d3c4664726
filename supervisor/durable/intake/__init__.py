"""Intake: how messages come into a durable mailbox: stored first, in bulk, with a key, later."""
