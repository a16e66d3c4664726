"""Shared: a value in shared memory, as messages and replies carry it.

    of(array), allocate(size) ─▶ Segment ─▶ message ─▶ Segment ─▶ array(), memoryview(): no byte is copied

Written once by its maker, mapped read only where it arrives, freed with its last holder.

Runs on both sides, in any thread.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from math import prod
from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, SupportsIndex

from actors.bounds import is_count, shown
from actors.errors import UsageError
from actors.exits import with_article
from actors.ipc import descriptors as descriptors  # noqa: PLC0414 - what is made here passes by it, see `Channel`
from actors.ipc.shared_memory import SMALL, Draft, LostSegment, Segment, available
from actors.wire.attachments import carried_at, place_of
from actors.wire.codec import Codec, SharedValue, register
from actors.wire.framing import MAX_MESSAGE, Attachment, Carried, SharedAttachment

if TYPE_CHECKING:
    import numpy as np

MAX_SIZE: Final = 2**62  # bytes; more than any machine has
View = memoryview  # the class has a method of that name

_BYTES: Final = "|u1"
_FORMATS: Final = frozenset("?bBhHiIlLqQefd")  # of the buffer protocol, which numpy reads in the same way
_DTYPE: Final = 64 * 1024  # characters of a dtype
_DIMENSIONS: Final = 64  # as numpy has


class Shared(SharedValue):
    """A value in shared memory: `class Frame(Message[float]): pixels: Shared`.

    Make one with `Shared.of(array)`, or with `Shared.allocate(size)` to write it in place. It may be anywhere in a
    message, a reply, or an item of a stream or feed, and may be sent any number of times. Only its descriptor travels:
    every process that gets it maps the same memory, read only. `array()` and `memoryview()` are views of it, which keep
    the memory as long as they live.

    Used as a context manager, one from `allocate` is sealed at the end of the block; any other is closed.

    Args:
        held: what `of` and `allocate` make, or what came in a message; None while a message is only checked.
        size: see below.
        dtype: see below.
        shape: see below.

    Attributes:
        size: its bytes.
        dtype: of its array, as numpy takes it.
        shape: of its array.
    """

    __slots__ = ("__weakref__", "_carried", "_draft", "_owner", "dtype", "shape", "size")

    def __init__(self, held: Draft | Carried | None, size: int, dtype: str, shape: tuple[int, ...]) -> None:
        self._draft = held if isinstance(held, Draft) else None
        self._carried = held.origin if isinstance(held, SharedAttachment) else None if isinstance(held, Draft) else held
        self._owner = os.getpid()
        self.size: Final = size
        self.dtype: Final = dtype
        self.shape: Final = shape

    @classmethod
    def of(cls, value: object) -> Self:
        """A copy of a numpy array, or of anything with the buffer protocol: bytes, bytearray, memoryview, array.array.

        dtype and shape of an array are kept. Takes the time of the copy; call it in a thread where that is too long
        for the event loop: `await asyncio.to_thread(Shared.of, array)`.

        Raises:
            UsageError: the value has no bytes that another process could read.
            OSError: the system has no descriptor or no memory left.
        """
        np: Any = sys.modules.get("numpy")
        if np is not None and isinstance(value, np.ndarray | np.generic):
            return cls._of_array(np, np.asarray(value))
        try:
            view = memoryview(value)  # type: ignore[arg-type]  # what has no buffer raises
        except TypeError:
            raise UsageError(
                f"{with_article(type(value).__qualname__)} has no bytes to share; pass a numpy array, bytes, or "
                f"anything with the buffer protocol"
            ) from None
        plain = view.format in _FORMATS and view.format != "B"
        data = view.cast("B") if view.c_contiguous and view.nbytes else memoryview(view.tobytes())
        return cls._filled(data, view.format if plain else _BYTES, (view.shape or ()) if plain else (view.nbytes,))

    @classmethod
    def allocate(
        cls,
        size: SupportsIndex | None = None,
        *,
        shape: SupportsIndex | Sequence[SupportsIndex] | None = None,
        dtype: Any = None,
    ) -> Self:
        """A value that is written in place by its maker, and sealed when it is sent or at the end of a `with` block.

        Args:
            size: its bytes; they are zero at first.
            shape: in place of `size`: of the array that it is.
            dtype: of that array, as numpy takes it; bytes without.

        Raises:
            UsageError: there is no such size.
            OSError: the system has no descriptor or no memory left.
        """
        if (size is None) == (shape is None):
            raise UsageError("Shared.allocate takes a size in bytes, or shape= and dtype= of an array")
        extent = _extent_of(size if shape is None else shape)
        inner: tuple[int, ...] = ()
        words, item = _BYTES, 1
        if dtype is not None:
            kind, inner = _kind_of(dtype)
            words, item = _words_of(kind), kind.itemsize * prod(inner)
        if size is not None:
            if not item or extent[0] % item:
                raise UsageError(f"{extent[0]} bytes are not a whole number of {dtype} of {item} bytes each")
            extent = (extent[0] // item,)
        extent += inner
        total = item * prod(extent[: len(extent) - len(inner)])
        if total > MAX_SIZE or len(extent) > _DIMENSIONS:
            raise UsageError(f"a Shared has at most {MAX_SIZE} bytes in {_DIMENSIONS} dimensions; {extent} is more")
        return cls(_draft(total), total, words, extent)

    # ---- its bytes

    def memoryview(self) -> View:
        """Its bytes as a view: writable while its maker writes it, else read only.

        Raises:
            UsageError: it is closed, or another process writes it.
            OSError: the system has no room for the mapping.
        """
        if self._draft is not None:
            if self._owner != os.getpid():
                raise UsageError("this Shared is still written by the process that allocated it; seal it there first")
            return self._draft.view()
        carried = self._open()
        if isinstance(carried, Segment | LostSegment):
            return carried.view()
        return memoryview(carried.value)

    def array(self) -> np.ndarray[Any, Any]:
        """It as a numpy array of its dtype and shape, without a copy: writable while its maker writes it.

        Raises:
            UsageError: it is closed, numpy is not installed, or its bytes are no such array.
        """
        numpy = _numpy()
        view = self.memoryview()
        try:
            dtype = _dtype_of(numpy, self.dtype)
            # np.ndarray(buffer=view) would not keep the view open, so that a draft could be sealed under the array
            flat = numpy.frombuffer(view, dtype) if view.nbytes else numpy.empty(0, dtype)
            array: np.ndarray[Any, Any] = flat.reshape(self.shape)
        except (TypeError, ValueError, SyntaxError) as error:
            raise UsageError(f"{self!r} is not such an array: {error}") from None
        return array

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return True

    def __bytes__(self) -> bytes:
        return bytes(self.memoryview())

    def __buffer__(self, flags: int) -> View:  # from Python 3.12 on: memoryview(shared), of plain bytes
        del flags
        if self.dtype != _BYTES or len(self.shape) != 1:  # numpy asks here first, and would see no array
            raise BufferError(f"{self!r} is an array; array() and memoryview() are views of it")
        return self.memoryview()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.array()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"a Shared of {array.dtype} is not {with_article(str(dtype))} without a copy")
            array = array.astype(dtype)
        elif copy:
            array = array.copy()
        return array

    # ---- its life

    @property
    def sealed(self) -> bool:
        """Whether nothing in it changes any more."""
        return self._draft is None

    @property
    def closed(self) -> bool:
        """Whether this process has let go of it."""
        return self._draft is None and self._carried is None

    def seal(self) -> Self:
        """End the writing; sending does it, too. May be called twice.

        Raises:
            UsageError: a writable view of it is open, or another process writes it.
        """
        if self._draft is not None:
            if self._owner != os.getpid():
                raise UsageError("this Shared is still written by the process that allocated it; seal it there first")
            self._carried = self._draft.seal()
            self._draft = None
        return self

    def close(self) -> None:
        """Let go of it in this process. Views that are open, and messages that were sent, keep the memory.

        May be called twice.
        """
        if self._draft is not None:
            self._draft.close()
        self._draft = self._carried = None

    def carried(self) -> Carried:
        """What travels beside the message.

        Raises:
            UsageError: it is closed, or a writable view of it is open.
        """
        self.seal()
        return self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._draft is not None and kind is None:
            self.seal()
        else:
            self.close()

    def __repr__(self) -> str:
        state = "" if self._carried is not None else ", closed" if self._draft is None else ", still written"
        return f"<Shared of {self.size} bytes, {self.dtype} {self.shape}{state}>"

    def __reduce__(self) -> Any:
        raise UsageError("a Shared cannot be pickled or copied; it travels in messages: send it to the actor")

    # ---- inside

    @classmethod
    def _of_array(cls, np: Any, array: Any) -> Self:
        words = _words_of(array.dtype)
        if array.flags.c_contiguous:
            data = memoryview(array.reshape(-1).view(np.uint8)) if array.nbytes else memoryview(b"")
            return cls._filled(data, words, array.shape)
        made = cls(_draft(array.nbytes), array.nbytes, words, array.shape)
        np.copyto(made.array(), array)
        return made.seal()

    @classmethod
    def _filled(cls, data: View, dtype: str, shape: tuple[int, ...]) -> Self:
        draft = _draft(data.nbytes)
        draft.write(data)
        return cls(draft.seal(), data.nbytes, dtype, shape)

    def _open(self) -> Carried:
        if self._carried is None:
            raise UsageError(f"{self!r} cannot be used or sent: this process has closed it; make another one")
        return self._carried


def _to_plain(value: Shared) -> tuple[int | bytes, int, str, tuple[int, ...]]:
    """Its index among the attachments, or its bytes when they are few."""
    carried = value.carried()
    place = carried.value if isinstance(carried, Attachment) and carried.size < SMALL else place_of(value)
    return place, len(value), value.dtype, value.shape


def _from_plain(plain: Any) -> Shared:
    if not (isinstance(plain, list | tuple) and len(plain) == 4):
        raise ValueError("it is another value; write Shared.of(value)")
    place, size, dtype, shape = plain
    if not (is_count(size, 0, MAX_SIZE) and isinstance(dtype, str) and len(dtype) <= _DTYPE):
        raise ValueError("it has no size or no dtype")
    if not all(is_count(one, 0, MAX_SIZE) for one in shape):
        raise ValueError("it has no shape")
    carried = Attachment(place) if isinstance(place, bytes) else carried_at(place)
    if carried is not None and carried.size != size:
        large = f"; as bytes to another machine a message carries at most {MAX_MESSAGE}" if size > MAX_MESSAGE else ""
        raise ValueError(f"{carried.size} bytes came, announced were {size}{large}")
    return Shared(carried, size, dtype, tuple(shape))


register(Codec(Shared, _to_plain, _from_plain))


def _draft(size: int) -> Draft:
    return Draft(size, shared=size >= SMALL and available())


def _numpy() -> Any:
    try:
        import numpy as np  # noqa: PLC0415 - only who wants arrays pays for it
    except ImportError:
        raise UsageError(
            "arrays of a Shared need numpy: pip install numpy; memoryview() gives its bytes without it"
        ) from None
    return np


def _extent_of(shape: object) -> tuple[int, ...]:
    """A shape as plain numbers.

    Raises:
        UsageError: it is none.
    """
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str | bytes) else (shape,)
    try:
        extent = tuple(-1 if isinstance(one, bool) else index(one) for one in sizes)
    except TypeError:
        extent = (-1,)
    if not all(is_count(one, 0, MAX_SIZE) for one in extent):
        raise UsageError(
            f"a Shared has a whole number of bytes from 0 to {MAX_SIZE}, or a shape of such numbers; it was given "
            f"{shown(shape)}"
        )
    return extent


def _kind_of(dtype: object) -> tuple[Any, tuple[int, ...]]:
    """What numpy makes of a dtype, and the shape inside of it, which is a part of the array's.

    Raises:
        UsageError: numpy knows no such dtype.
    """
    numpy = _numpy()
    try:
        kind = numpy.dtype(dtype)
    except Exception as error:  # TypeError, ValueError, SyntaxError, and whatever the repr of the value raises
        raise UsageError(f"dtype={shown(dtype)} is none of numpy's: {error}") from None
    return (kind, ()) if kind.subdtype is None else kind.subdtype


def _words_of(dtype: Any) -> str:
    """A dtype as text.

    Raises:
        UsageError: it has objects of this process in it, or no bytes, or fields that no text describes.
    """
    if dtype.hasobject:
        raise UsageError(f"an array of {dtype} holds references to objects of this process; share an array of values")
    if not dtype.itemsize:
        raise UsageError(f"an array of {dtype} has items without bytes; share its shape in a field of the message")
    try:
        words = str(dtype.str) if dtype.names is None else repr(dtype.descr)
    except ValueError:
        raise UsageError(
            "the fields of this dtype overlap, or are not in the order of their offsets; share "
            "numpy.lib.recfunctions.repack_fields(array)"
        ) from None
    if len(words) > _DTYPE:
        raise UsageError(f"a dtype has at most {_DTYPE} characters as text, this one {len(words)}; share its columns")
    return words


def _dtype_of(np: Any, words: str) -> Any:
    if not words.startswith("["):
        return np.dtype(words)
    import ast  # noqa: PLC0415 - only structured arrays need it

    return np.lib.format.descr_to_dtype(ast.literal_eval(words))
