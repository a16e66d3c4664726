"""Absent: why there is no figure."""

from __future__ import annotations


class Absent(Exception):
    """A workload cannot be done here, or not by this contender; the text says why."""
