"""Shared: its bytes, dtype and shape in one process; what it refuses."""

from __future__ import annotations

import array
import copy
import os
import pickle
import sys

import msgspec
import numpy as np
import pytest

from actors import Shared, UsageError
from actors.ipc.shared_memory import SMALL, SWITCH
from actors.wire.codec import from_plain, to_plain

ARRAYS = [
    np.arange(5),
    np.arange(SMALL, dtype=">u2").reshape(2, -1),
    np.arange(SMALL, dtype="f4").reshape(4, -1).T,
    np.zeros((3, 0, 2)),
    np.array(1.5),
    np.array([("a", 1)] * SMALL, dtype=[("name", "U3"), ("n", "<i8")]),
    np.array(["2026-01-01"] * SMALL, dtype="M8[D]"),
    np.ones(SMALL, dtype="c16")[::2],
    np.ones(SMALL, dtype="?"),
    np.zeros(SMALL, dtype=[("a", "f4", (3, 2)), ("b", [("x", ">i2"), ("y", "M8[25s]")])]),
    np.zeros((SMALL, 2), dtype=np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"]}, align=True), order="F"),
    np.zeros(SMALL, dtype=[("a", "V0"), ("b", "S0"), ("c", "V7")]),
    np.arange(SMALL).astype("m8[us]")[::-1],
    np.broadcast_to(np.float16(2), (SMALL,)),
    np.frombuffer(bytes(5 * SMALL), dtype="S5"),
    np.zeros((), dtype=[("a", "i4")]),
    np.zeros(1, dtype=[("a", "i4"), ("b", "f8")])[0],
    np.zeros(2, dtype=[(f"column {n}", "f8") for n in range(1000)]),
]


OVERLAPPING = {"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [3, 1], "itemsize": 20}


@pytest.fixture(params=["shared", "off"], autouse=True)
def way(request, monkeypatch):
    if request.param == "off":
        monkeypatch.setenv(SWITCH, "off")


@pytest.mark.parametrize("value", ARRAYS, ids=lambda value: f"{value.dtype}-{value.shape}")
def test_an_array_keeps_dtype_and_shape(value):
    """Its order in memory becomes C's."""
    shared = Shared.of(value)
    np.testing.assert_array_equal(value, shared.array())
    assert (value.dtype, value.shape, value.nbytes) == (shared.array().dtype, shared.shape, len(shared))
    np.testing.assert_array_equal(value, np.asarray(shared))


@pytest.mark.parametrize("size", [0, 10, SMALL])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes(kind, size):
    """Whatever has bytes."""
    data = os.urandom(size)
    shared = Shared.of(kind(data))
    assert data == bytes(shared) == shared.memoryview() == shared.array().tobytes()
    assert ("|u1", (size,), size) == (shared.dtype, shared.shape, len(shared))
    assert shared


def test_an_array_of_the_standard_library():
    """Its type is kept, too."""
    shared = Shared.of(array.array("d", range(SMALL)))
    assert ("d", SMALL - 1.0) == (shared.dtype, shared.array()[-1])
    assert bytes(shared) == bytes(Shared.of(memoryview(shared.memoryview())[::1]))


@pytest.mark.parametrize("size", [10, SMALL])
def test_written_in_place(size):
    """Until it is sealed, by its maker."""
    with Shared.allocate(size) as shared:
        view = shared.memoryview()
        view[:3] = b"abc"
        assert not shared.sealed
        view.release()
    assert shared.sealed
    assert b"abc" == shared.memoryview()[:3]
    with pytest.raises(TypeError, match="read-only"):
        shared.memoryview()[0] = 1
    with pytest.raises(UsageError, match="not a whole number"):
        Shared.allocate(10, dtype="f8")
    two = Shared.allocate(shape=(2, size), dtype="i4")
    two.array()[1] = 5
    assert (5 * size, 8 * size) == (two.seal().array().sum(), len(two))


def test_sizes_of_numpy():
    """Are numbers as others, and come out as such; the shape inside of a dtype is a part of the array's."""
    shared = Shared.allocate(shape=(np.int64(3), np.uint8(4)), dtype="(2,)f8")
    assert ((3, 4, 2), "<f8", 192) == (shared.shape, shared.dtype, shared.size)
    assert (np.zeros((3, 4), dtype="(2,)f8") == shared.array()).all()
    assert {int} == set(map(type, shared.shape))
    assert (16, (1, 2)) == (
        Shared.allocate(np.int64(16), dtype="(2,)f8").size,
        Shared.allocate(16, dtype="(2,)f8").shape,
    )
    assert (SMALL, (SMALL,)) == (Shared.allocate(np.uint64(SMALL)).size, Shared.allocate(np.uint64(SMALL)).shape)


@pytest.mark.parametrize("size", [10, SMALL])
def test_not_sealed_while_a_view_is_open(size):
    """What was sent would change later. It stays as it was, and can be sealed afterwards."""
    shared = Shared.allocate(size)
    view = shared.memoryview()
    with pytest.raises(UsageError, match="writable view or array of it is open"):
        shared.seal()
    view[0] = 9
    view.release()
    assert 9 == shared.seal().memoryview()[0]


def test_closed():
    """A view that is open keeps the memory; everything else is refused in one line."""
    shared = Shared.of(bytes(SMALL))
    view = shared.memoryview()
    shared.close()
    shared.close()
    assert (shared.closed, SMALL) == (True, len(view))
    for use in (shared.memoryview, shared.array, shared.carried, lambda: bytes(shared)):
        with pytest.raises(UsageError, match="closed it; make another one"):
            use()
    with Shared.of(b"x") as other:
        pass
    assert other.closed


def test_an_exception_in_the_block_closes_it():
    """A half-written value is not sent."""
    with pytest.raises(LookupError):
        with Shared.allocate(SMALL) as shared:
            raise LookupError
    assert shared.closed


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Shared.of("text"), "a str has no bytes"),
        (lambda: Shared.of([1, 2]), "a list has no bytes"),
        (lambda: Shared.of(np.array([object()], dtype="O")), "references to objects"),
        (Shared.allocate, "takes a size in bytes"),
        (lambda: Shared.allocate(4, shape=(4,)), "takes a size in bytes"),
        (lambda: Shared.allocate(-1), "whole number"),
        (lambda: Shared.allocate(shape=(2, -1)), "whole number"),
        (lambda: Shared.allocate(shape=(2**40, 2**40)), "at most"),
        (lambda: Shared.allocate(shape=(1,) * 65), "64 dimensions"),
        (lambda: Shared.allocate(2**63), "whole number of bytes from 0 to 4611686018427387904"),
        (lambda: Shared.allocate(np.int64(-1)), "whole number"),
        (lambda: Shared.allocate(True), "whole number"),
        (lambda: Shared.allocate(np.True_), "whole number"),
        (lambda: Shared.allocate(1.0), "whole number"),
        (lambda: Shared.allocate(shape="12"), "whole number"),
        (lambda: Shared.allocate(shape=b"12"), "whole number"),
        (lambda: Shared.allocate(8, dtype="nonsense"), "dtype='nonsense' is none of numpy's"),
        (lambda: Shared.allocate(8, dtype=3), "dtype=3 is none of numpy's"),
        (lambda: Shared.allocate(8, dtype="V0"), "items without bytes"),
        (lambda: Shared.allocate(8, dtype="(0,)f8"), "not a whole number"),
        (lambda: Shared.allocate(shape=4, dtype=[("a", "O")]), "references to objects"),
        (lambda: Shared.of(np.zeros(4, dtype="V0")), "items without bytes"),
        (lambda: Shared.of(np.zeros(4, dtype=[])), "items without bytes"),
        (lambda: Shared.of(np.zeros(4, dtype=[("a", "O"), ("b", "i4")])), "references to objects"),
        (lambda: Shared.of(np.zeros(4, dtype=OVERLAPPING)), "repack_fields"),
        (lambda: Shared.of(np.zeros(4, dtype=[(f"column {n}", "f8") for n in range(5000)])), "has at most 65536"),
        (lambda: pickle.dumps(Shared.of(b"x")), "cannot be pickled"),
        (lambda: copy.copy(Shared.of(b"x")), "cannot be pickled or copied"),
    ],
)
def test_what_is_refused(make, why):
    """In one line that says what to do."""
    with pytest.raises(UsageError, match=why):
        make()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes have the buffer protocol from 3.12 on")
def test_the_buffer_protocol():
    """A Shared of bytes is a buffer itself; numpy gets arrays in another way."""
    assert b"abc" == memoryview(Shared.of(b"abc"))
    with pytest.raises(BufferError, match=r"array\(\)"):
        memoryview(Shared.of(np.ones(3)))


def test_what_stands_in_the_place_of_a_shared_value():
    """Bytes or an array, not made a Shared: the text says how to make one."""
    with pytest.raises(msgspec.ValidationError, match=r"no Shared: .*write Shared.of\(value\)"):
        from_plain(Shared, b"abc")
    with pytest.raises(TypeError, match=r"ndarray have no codec; a field of type Shared takes Shared.of\(value\)"):
        to_plain(np.ones(3))
