"""Decisions on one mailbox's messages: order, what is in flight, fates. Pure."""
