"""Counts: what an actor counts for itself, by series: a name with labels. Pure.

A series crosses as its encoded bytes in the black box; the daemon checks its names again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from actors.bounds import shown
from actors.errors import UsageError

MAX_SERIES_BYTES: Final = 254  # of one encoded series
RESERVED: Final = ("actor_", "supervisor_")  # beginnings of the library's own names
_TAKEN: Final = ("actor", "le")  # labels
_MOST: Final = 1.7976931348623157e308  # what a cell holds, an IEEE double


class Series(msgspec.Struct, frozen=True, array_like=True):
    """One counter of an actor.

    Attributes:
        name: without `_total`.
        labels: name and value of each, by name.
    """

    name: str
    labels: tuple[tuple[str, str], ...] = ()


Counts = dict[Series, float]

_read: Final = msgspec.msgpack.Decoder(Series).decode


def encoded(path: str, name: str, labels: Mapping[str, object]) -> bytes:
    """The bytes of a series.

    Raises:
        UsageError: it has no good name, or a label has none, or it is too long.
    """
    if not isinstance(name, str) or not _good_name(name):
        raise UsageError(
            f"context.count in {path}: {shown(name)} is not a name for a counter; it begins with a letter and has "
            f"letters, digits and underscores, and names that begin with {' or '.join(RESERVED)} are the library's"
        )
    for label in labels:
        if not _good_label(label):
            raise UsageError(
                f"context.count in {path}: {name} cannot have the label {shown(label)}; it has letters, digits and "
                f"underscores, and 'actor' and 'le' are taken"
            )
    pairs = tuple((label, str(labels[label])) for label in sorted(labels))
    data = msgspec.msgpack.encode(Series(name.removesuffix("_total"), pairs))
    if len(data) > MAX_SERIES_BYTES:
        raise UsageError(
            f"context.count in {path}: {name} with its labels has {len(data)} bytes, the most is {MAX_SERIES_BYTES}; "
            f"a label is a short word that takes few values"
        )
    return data


def decoded(data: bytes) -> Series | None:
    """The series of these bytes, None when they are none."""
    try:
        series = _read(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    good = _good_name(series.name) and all(_good_label(label) for label, _ in series.labels)
    return series if good else None


def check_amount(path: str, name: str, amount: float) -> None:
    """Check what is added to a counter.

    Raises:
        UsageError: it is no number, or below 0.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount <= _MOST:
        raise UsageError(f"context.count in {path}: {name} grows by a number of at least 0, not by {shown(amount)}")


def _good_name(name: str) -> bool:
    return name.isascii() and name.isidentifier() and not name.startswith(RESERVED)


def _good_label(label: str) -> bool:
    return label.isascii() and label.isidentifier() and not label.startswith("__") and label not in _TAKEN
