"""OutputBuffer: the output of one life, as far as the daemon accepts it.

Bounded, whatever the process does. In each window of time a bounded number of lines is accepted, and the next window
begins only when the loop has logged those; the rest is dropped and counted.

`take` and `end` run in the output thread, everything else on the loop's. Each shared counter is written by one of
them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from actors.wire.log_lines import LOST, PRINTS, Joiner, Lines, Lost, Record, read_line

WINDOW: Final = 5.0  # seconds
MAX_LINES: Final = 10_000  # in a window
MAX_BYTES: Final = 4 * 1024 * 1024
LAST_LINES: Final = 20  # kept for the exit report
LAST_BYTES: Final = 8 * 1024
LAST_OF_LINE: Final = 2048  # characters of each that are kept, those at its end


class OutputBuffer:
    """One life's output on its way to the log.

    Args:
        fd: the reading end of its pipe, non-blocking; closed when the output thread is done with it.
        on_record: called on the loop with each accepted line, in order.
        on_lost: called on the loop with the number of lines and bytes lost since the last call.

    Attributes:
        awaits: called in the output thread about each line that would be dropped; the first one for which it is true is
            taken all the same. None where no line is awaited.
        lines: cuts what it writes; used in the output thread.
        joiner: puts printed lines together; likewise.
    """

    def __init__(self, fd: int, on_record: Callable[[Record], None], on_lost: Callable[[int, int], None]) -> None:
        self.fd = fd
        self.awaits: Callable[[bytes], bool] | None = None
        self.lines: Final = Lines()
        self.joiner: Final = Joiner()
        self.on_record = on_record
        self.lost = Lost(0, 0)  # so far; written by the thread
        self.noted = self.lost  # what the loop knows of; written by the thread
        self.noted_at = 0.0
        self.told = self.lost  # what was reported; written by the loop
        self.taken = 0  # records handed over; written by the thread
        self.written = 0  # of those, logged; written by the loop
        self.last: deque[str] = deque(maxlen=LAST_LINES)  # to standard error or past Python; for after its end
        self._on_lost = on_lost
        self._until = 0.0
        self._lines_left = 0
        self._bytes_left = 0

    # ---- in the output thread

    def take(self, chunk: bytes, now: float) -> list[Record]:
        """The records in these bytes that go to the log."""
        return self._count(self._choose(self.lines.feed(chunk), now))

    def end(self, now: float) -> list[Record]:
        """The records of an unfinished last line, at the end of the pipe."""
        records = self._choose(self.lines.end(), now)
        return self._count(records + self._kept(self.joiner.end()))

    def _count(self, taken: list[Record]) -> list[Record]:
        self.taken += len(taken)
        return taken

    def _choose(self, lines: list[bytes], now: float) -> list[Record]:
        if now >= self._until and self.written == self.taken:
            self._until, self._lines_left, self._bytes_left = now + WINDOW, MAX_LINES, MAX_BYTES
        taken: list[Record] = []
        for at, line in enumerate(lines):
            if self._lines_left <= 0 or self._bytes_left < len(line):
                self._lines_left = 0  # one gap instead of many small ones
                return self._kept(taken + self.joiner.end()) + self._drop(lines[at:])
            self._lines_left -= 1
            self._bytes_left -= len(line)
            lost, records = self.lost, self._read(line)
            if self.lost is not lost:  # what was lost may be the rest of the line that was begun
                taken += self.joiner.end()
            for record in records:
                taken += self.joiner.feed(record)
        return self._kept(taken)

    def _drop(self, lines: list[bytes]) -> list[Record]:
        """Scan a flood only for what must be known: an awaited line, what was lost before, and its last lines.

        Returns:
            The awaited line, which is not dropped.
        """
        awaits = self.awaits
        awaited = None if awaits is None else next((at for at, line in enumerate(lines) if awaits(line)), None)
        taken = [] if awaited is None else self._kept(self._read(lines.pop(awaited)))
        read = [line for line in lines[:-LAST_LINES] if LOST in line] + lines[-LAST_LINES:]
        dropped = self._kept([record for line in read for record in self._read(line)])
        self.lose(len(lines) - len(read) + len(dropped), sum(map(len, lines)))
        return taken

    def _read(self, line: bytes) -> list[Record]:
        records = []
        for said in read_line(line):
            if isinstance(said, Lost):
                self.lose(said.lines, said.size)
            else:
                records.append(said)
        return records

    def _kept(self, records: list[Record]) -> list[Record]:
        """The same; what the exit report shows of them is kept."""
        for said in records:
            text = said.fields.get("text")
            if said.event in PRINTS and said.fields.get("stream") != "stdout" and text:
                self.last.append(str(text)[-LAST_OF_LINE:])
        return records

    def lose(self, lines: int, size: int = 0) -> None:
        """Count lines that are dropped."""
        self.lost = Lost(self.lost.lines + lines, self.lost.size + size)

    # ---- on the loop's thread

    def tell_lost(self) -> None:
        """Report what was lost since the last call."""
        lost, told = self.lost, self.told
        self.told = lost
        if lost != told:
            self._on_lost(lost.lines - told.lines, lost.size - told.size)

    def last_lines(self) -> tuple[str, ...]:
        """The last lines it wrote to standard error or past Python; only after its end."""
        room, kept = LAST_BYTES, []
        for line in reversed(self.last):
            room -= len(line.encode())
            if room < 0:
                break
            kept.append(line)
        return tuple(reversed(kept))
