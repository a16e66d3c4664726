"""Log lines: what an actor's process writes, cut into lines and read as records.

Pure, and the input is not trusted: lines are the same however the bytes are chunked, a line is never longer than
LONGEST, and what is not a record is text.

One pipe carries everything a life writes, so it has one order. Lines of Python's streams and loggers are *records*:
one line that begins with a mark and is written in one piece. Output of C libraries and child processes is text. No
mark occurs inside a record, so a record is also found behind an unfinished line of text.

Annotations are not postponed here: msgspec would compile each of them, in every process.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

LONGEST: Final = 64 * 1024  # bytes of a line, characters of one that is put together from records
MAX_LINE: Final = 4096  # bytes of a record: Linux's PIPE_BUF, the most that one write puts into a pipe atomically
LONG: Final = MAX_LINE - 320  # bytes of text that fit into one record
PRINTED: Final = "actor.printed"  # event of what was written as text
PRINTED_ON: Final = "actor.printed_on"  # the same, and the line goes on in the next record
PRINTS: Final = (PRINTED, PRINTED_ON)

_RECORD: Final = b"\0"
LOST: Final = b"\1"  # the mark of a line that counts losses
_END: Final = b"\n"
_SURELY: Final = LONG // 6  # characters that encode to at most LONG bytes, whatever they are
_MAX_RECORD: Final = MAX_LINE - 64  # bytes of a record's line; leaves room for a line that counts losses in front of it
_QUOTES: Final = 2  # bytes around an encoded text
_SHORTER: Final = (2400, 800, 200, 40)  # characters to which a text is cut until its record fits


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A line of an actor for the daemon's log."""

    level: str
    event: str
    fields: dict[str, str | int | float | bool | None]


class Lost(msgspec.Struct, frozen=True, array_like=True):
    """This many lines, of this many bytes, were dropped in the actor's process because the pipe was full."""

    lines: int
    size: int


_encode = msgspec.json.Encoder().encode
_DECODERS: Final[dict[bytes, Callable[[bytes], Record | Lost]]] = {
    _RECORD: msgspec.json.Decoder(Record).decode,
    LOST: msgspec.json.Decoder(Lost).decode,
}


def record_line(record: Record) -> bytes:
    """A record as one line. Texts that are too long are cut in the middle and say so."""
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
    """A text in pieces that each fit into a record; at least one piece."""
    for at in range(0, len(text) or 1, LONG):
        piece = text[at : at + LONG]
        if len(piece) <= _SURELY or len(_encode(piece)) - _QUOTES <= LONG:
            yield piece
        else:
            yield from (piece[start : start + _SURELY] for start in range(0, len(piece), _SURELY))


def lost_line(lost: Lost) -> bytes:
    """A count of losses as one line."""
    return _marked(LOST, lost)


def read_line(line: bytes) -> list[Record | Lost]:
    """Parse a line into a record, a count of losses or text.

    When a record follows an unfinished line of text, both are returned.
    """
    at = max(line.rfind(_RECORD), line.rfind(LOST))
    if at < 0:
        return [_text(line)]
    try:
        said = _DECODERS[line[at : at + 1]](line[at + 1 :])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return [_text(line)]
    return [_text(line[:at]), said] if at else [said]


class Joiner:
    """Puts printed lines together that came in several records. Whatever comes between two of them ends the line.

    Attributes:
        begun: the line that has begun and goes on, None outside of one.
    """

    def __init__(self) -> None:
        self.begun: Record | None = None

    def feed(self, record: Record) -> list[Record]:
        """The records that are complete with this one."""
        begun, complete = self.begun, []
        self.begun = None
        if begun is not None:
            if record.event in PRINTS and record.fields.get("stream") == begun.fields.get("stream"):
                text = f"{begun.fields.get('text')}{record.fields.get('text')}"
                record = Record(record.level, record.event, {**begun.fields, "text": text})
            else:
                complete.append(_whole(begun))
        if record.event == PRINTED_ON and len(str(record.fields.get("text"))) < LONGEST:
            self.begun = record
        else:
            complete.append(_whole(record))
        return complete

    def end(self) -> list[Record]:
        """The line that was begun and does not go on."""
        begun, self.begun = self.begun, None
        return [] if begun is None else [_whole(begun)]


class Lines:
    """Cuts bytes into lines of at most LONGEST bytes, without their newline; a longer line continues in the next.

    Attributes:
        rest: the unfinished line.
    """

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes."""
        *lines, self.rest = (self.rest + chunk).split(_END)
        if max(map(len, lines), default=0) > LONGEST:
            lines = [piece for line in lines for piece in _pieces(line)]
        if len(self.rest) > LONGEST:
            *more, self.rest = _pieces(self.rest)
            lines += more
        return lines

    def end(self) -> list[bytes]:
        """The unfinished line at the end of the stream."""
        rest, self.rest = self.rest, b""
        return [rest] if rest else []


def printed(line: bytes) -> str:
    """A line that was written as text."""
    return line.rstrip(b"\r").decode("utf-8", "backslashreplace")


def _pieces(line: bytes) -> list[bytes]:
    return [line[at : at + LONGEST] for at in range(0, len(line), LONGEST)] or [line]


def _whole(record: Record) -> Record:
    return Record(record.level, PRINTED, record.fields) if record.event == PRINTED_ON else record


def _marked(mark: bytes, value: Record | Lost) -> bytes:
    return mark + _encode(value) + _END


def _text(line: bytes) -> Record:
    return Record("info", PRINTED, {"text": printed(line)})


def _shortened(text: str, most: int) -> str:
    """The beginning of a text and twice as much of its end, because a traceback names the error at its end."""
    if len(text) <= most:
        return text
    kept = most // 3
    return f"{text[:kept]} ...[{len(text) - 3 * kept} characters cut]... {text[-2 * kept :]}"
