"""Attachments: large values leave a message and come back to where they were, and to nowhere else."""

from __future__ import annotations

import types
from typing import Annotated

import msgspec
import pytest

from actors import Message, WireError
from actors.wire.attachments import bytes_fields, check_beside, fill, large_fields, pack
from actors.wire.codec import decoder_of
from actors.wire.framing import BESIDE, MAX_BESIDE, Attachment

LARGE = bytes(range(256)) * (BESIDE // 256)


class Photo(Message[None]):
    name: str
    raw: bytes
    small: bytes = b""
    short: Annotated[bytes, msgspec.Meta(max_length=3)] = b""
    maybe: bytes | None = None


def test_which_fields_can_travel_beside():
    """Plain bytes: whatever stands there fits. A bound or another type has to be looked at."""
    assert (1, 2) == bytes_fields(Photo)


@pytest.mark.parametrize(
    ("photo", "places"),
    [
        (Photo("a", b"x"), ()),
        (Photo("a", LARGE), (1,)),
        (Photo("a", LARGE, LARGE), (1, 2)),
        (Photo("a", LARGE[:-1]), ()),
        (Photo("a", b"", maybe=LARGE), ()),
        (Photo("a", bytearray(LARGE)), ()),
        (Photo(LARGE, b""), ()),
    ],
    ids=["small", "large", "two", "almost", "optional", "no-bytes", "wrong-type"],
)
def test_what_is_large(photo, places):
    """Only bytes, of the size at which a copy takes noticeable time."""
    assert places == large_fields(photo)


def test_there_and_back():
    """The values are not in the message's bytes, are never copied, and stand where they were when it arrives."""
    photo = Photo("a", LARGE, LARGE[::-1], b"abc")
    packed = pack(photo)
    assert len(packed.data) < 100
    assert (2 * BESIDE + len(packed.data), (1, 2)) == (packed.size, packed.beside)
    assert packed.attachments[0].value is photo.raw
    arrived = decoder_of(Photo).decode(packed.data)
    assert (b"", b"") == (arrived.raw, arrived.small)
    fill(arrived, packed.beside, packed.attachments)
    assert photo == arrived


@pytest.mark.parametrize(
    ("beside", "count"),
    [((0,), 1), ((1,), 0), ((1,), 2), ((), 1), ((3,), 1), ((4,), 1), ((99,), 1), ((-1,), 1)],
    ids=str,
)
def test_what_belongs_nowhere_is_refused(beside, count):
    """An attachment for a field of another type, too many, too few: the sender broke the protocol."""
    with pytest.raises(WireError, match="attachments came for the fields"):
        check_beside(Photo, beside, [Attachment(b"x")] * count)


def test_no_more_than_belong_to_a_frame():
    """Of very many large values the first travel beside, the others inside."""
    fields = {f"field{n}": bytes for n in range(MAX_BESIDE + 4)}
    many = types.new_class("Many", (Message,), {"frozen": True}, lambda body: body.update(__annotations__=fields))
    assert tuple(range(MAX_BESIDE)) == large_fields(many(*[LARGE] * (MAX_BESIDE + 4)))
