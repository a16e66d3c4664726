"""Spec validation: whether a whole tree of specs can work, checked before anything starts.

The first value that cannot work is named with its place and the remedy.
"""

from supervisor.spec_validation.tree import check, check_child, check_places
from supervisor.spec_validation.values import check_size

__all__ = ["check", "check_child", "check_places", "check_size"]
