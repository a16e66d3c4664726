"""Pickling: the same protocol on every Python."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from actors.queue.pickling import PROTOCOL, pickled


def test_the_protocol_is_named():
    """A pickle begins with its protocol."""
    assert b"\x80%c" % PROTOCOL == pickled("anything")[:2]


@pytest.mark.parametrize("writable", [True, False])
def test_an_array_arrives_as_it_was(writable):
    """Read only if it was, on every Python."""
    array = np.arange(3)
    array.flags.writeable = writable
    assert writable == pickle.loads(pickled(array)).flags.writeable
