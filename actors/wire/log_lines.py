"""Lines: what an actor's process writes, cut into lines and read as records.

Sans-io, and nothing is trusted: however the bytes are chunked the lines are the same, a line is never longer than
LONGEST, and whatever is no record is text.

One pipe carries everything a life writes, so that everything has one order. What Python says leaves as a *record*: one
line that begins with a mark and is written in one piece. Everything else, C libraries and child processes for instance,
is text. Neither mark occurs inside a record, so one that follows a half-written line is found all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

MAX_LINE: Final = 4096  # bytes of a line: Linux's PIPE_BUF, what one write puts into a pipe in one piece or not at all
LONG: Final = MAX_LINE - 320  # bytes of a text for which a record has room
PRINTED: Final = "actor.printed"  # event of what was written as text

_RECORD: Final = b"\0"
LOST: Final = b"\1"  # the mark of a line about losses
_END: Final = b"\n"
_SURELY: Final = LONG // 6  # characters that need no more than LONG bytes, whatever they are
_MAX_RECORD: Final = MAX_LINE - 64  # bytes of a record's line: there is room for one about losses in front of it
_SHORTER: Final = (2400, 800, 200, 40)  # characters a text is cut down to, until its record fits


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A line of an actor for the daemon's log."""

    level: str
    event: str
    fields: dict[str, str | int | float | bool | None]


class Lost(msgspec.Struct, frozen=True, array_like=True):
    """So many lines, of so many bytes, were dropped in the actor's process because nobody took them."""

    lines: int
    size: int


_encode = msgspec.json.Encoder().encode
_DECODERS: Final[dict[bytes, Callable[[bytes], Record | Lost]]] = {
    _RECORD: msgspec.json.Decoder(Record).decode,
    LOST: msgspec.json.Decoder(Lost).decode,
}


def record_line(record: Record) -> bytes:
    """A record as one line; texts in it that are too long are cut in their middle, and say so."""
    line = _marked(_RECORD, record)
    for most in _SHORTER:
        if len(line) <= _MAX_RECORD:
            return line
        fields = {
            name: _shortened(value, most) if isinstance(value, str) else value for name, value in record.fields.items()
        }
        line = _marked(_RECORD, Record(record.level, _shortened(record.event, most), fields))
    if len(line) <= _MAX_RECORD:
        return line
    return _marked(_RECORD, Record(record.level, _shortened(record.event, _SHORTER[-1]), {"cut": len(record.fields)}))


def pieces(text: str) -> Iterator[str]:
    """A text in pieces for which a record has room, at least one."""
    for at in range(0, len(text) or 1, LONG):
        piece = text[at : at + LONG]
        if len(piece) <= _SURELY or len(_encode(piece)) <= LONG:
            yield piece
        else:
            yield from (piece[start : start + _SURELY] for start in range(0, len(piece), _SURELY))


def lost_line(lost: Lost) -> bytes:
    """The same for what was lost."""
    return _marked(LOST, lost)


def read_line(line: bytes) -> list[Record | Lost]:
    """What a line says: a record, what was lost, or text; and text, if a record follows half a line of it."""
    at = max(line.rfind(_RECORD), line.rfind(LOST))
    if at < 0:
        return [_text(line)]
    try:
        said = _DECODERS[line[at : at + 1]](line[at + 1 :])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return [_text(line)]
    return [_text(line[:at]), said] if at else [said]


class Lines:
    """Cuts bytes into lines of at most LONGEST bytes, without their ends; longer ones go on in the next."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now."""
        *lines, self._rest = (self._rest + chunk).split(_END)
        if max(map(len, lines), default=0) > MAX_LINE:
            lines = [piece for line in lines for piece in _pieces(line)]
        if len(self._rest) > MAX_LINE:
            *more, self._rest = _pieces(self._rest)
            lines += more
        return lines

    def end(self) -> list[bytes]:
        """What is left at the end of everything."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


def _pieces(line: bytes) -> list[bytes]:
    return [line[at : at + MAX_LINE] for at in range(0, len(line), MAX_LINE)] or [line]


def _marked(mark: bytes, value: Record | Lost) -> bytes:
    return mark + _encode(value) + _END


def _text(line: bytes) -> Record:
    return Record("info", PRINTED, {"text": line.rstrip(b"\r").decode("utf-8", "backslashreplace")})


def _shortened(text: str, most: int) -> str:
    """The beginning and, because a traceback says at its end what happened, twice as much of the end."""
    if len(text) <= most:
        return text
    kept = most // 3
    return f"{text[:kept]} ...[{len(text) - 3 * kept} characters cut]... {text[-2 * kept :]}"
