"""Verbs: what `actorctl` is told to do."""
