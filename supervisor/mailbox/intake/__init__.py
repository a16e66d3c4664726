"""Intake: how messages come into a mailbox: one by one, in bulk, with shared values."""
