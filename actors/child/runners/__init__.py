"""Runners: the loops that handle the messages of one life, sync and async."""
