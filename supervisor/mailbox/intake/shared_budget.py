"""SharedBudget: the shared values that the messages of one tree hold, bounded, and the senders that wait for room.

A value counts from when its message enters a mailbox until that is settled, once however many messages carry it.

Runs on the loop's thread; a value that another thread drops last is released there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from actors.errors import MailboxFull, UsageError
from actors.wire.framing import Carried, SharedAttachment
from supervisor.clock import clock_of
from supervisor.mailbox.intake.entry import Dropped, Entry, Taken, Wait

Attachments = tuple[Carried, ...]

_NAMED: Final = 3  # actors whose messages hold most


class SharedBudget:
    """The room for shared values in one tree.

    Args:
        most: bytes that messages may hold, None without a bound.
        most_values: values that they may hold; each is a descriptor of the daemon.
        loop: of the tree.

    Attributes:
        most: as above.
        used: bytes that messages hold.
    """

    def __init__(self, most: int | None, most_values: int, loop: asyncio.AbstractEventLoop) -> None:
        self.most: Final = most
        self.used = 0
        self._most_values = most_values
        self._loop = loop
        self._counts: dict[int, int] = {}  # messages that hold a value, by its key
        self._holders: Counter[str] = Counter()  # how many values the messages for each actor hold
        self._line: deque[_Place] = deque()

    @property
    def values(self) -> int:
        """How many values messages hold."""
        return len(self._counts)

    def hold(self, attachments: Attachments, who: str) -> Attachments | None:
        """The same attachments, which hold room until they are gone; None when there is none now.

        Args:
            attachments: of a message.
            who: the actor that it is for.

        Raises:
            UsageError: there never is room for so much.
        """
        fits = self.fits(attachments, who)
        return self._held(attachments, who) if fits and not self._line else None

    @property
    def crowded(self) -> bool:
        """Whether as many values wait for room as messages may hold: those of actors are descriptors of the daemon."""
        return sum(len(place.attachments) for place in self._line) >= self._most_values

    def close(self, owner: object) -> None:
        """A mailbox is closed: its senders wait no more, and get their error."""
        for place in [one for one in self._line if one.owner is owner]:
            self._line.remove(place)
            if not place.gone:
                place.grant(place.attachments)
        self._grant()

    def wait(self, owner: object, entry: Entry, who: str, enter: Callable[[Entry], Taken | Wait | Dropped]) -> Wait:
        """Wait for room, in the order of arrival; `enter` is called with the entry when there is.

        Args:
            owner: whose `close` ends the waiting.
            entry: a message.
            who: the actor that it is for.
            enter: see above.
        """
        place = _Place(self, owner, entry, who, self._loop.create_future())
        self._line.append(place)
        return _WaitForRoom(place, enter)

    def full(self, what: str, who: str, remedy: str) -> MailboxFull:
        """The error of a sender that does not wait."""
        raised = "the limit of descriptors (ulimit -n)" if self.most is None else "max_shared_bytes of the Supervisor"
        return MailboxFull(f"{self.taken_by()}; {what} for {who} was not sent. {remedy}, or raise {raised}")

    def taken_by(self) -> str:
        """Who has the room, in words."""
        bound = "" if self.most is None else f"{self.most} bytes (max_shared_bytes) or "
        by = ", ".join(f"{count} for {who}" for who, count in self._holders.most_common(_NAMED))
        waiting = f"; {len(self._line)} messages wait for room" if self._line else ""
        return (
            f"messages hold {self.values} shared values of {self.used} bytes{f' ({by})' if by else ''}, of at most "
            f"{bound}{self._most_values} values{waiting}"
        )

    def leave(self, place: _Place) -> None:
        """A sender no longer waits."""
        with contextlib.suppress(ValueError):
            self._line.remove(place)
        self._grant()

    def release(self, key: int, size: int, who: str) -> None:
        """A message for an actor no longer holds a value. Runs in any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits
            if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - the public one raises where there is none
                self._release(key, size, who)
            else:
                self._loop.call_soon_threadsafe(self._release, key, size, who)

    def fits(self, attachments: Attachments, who: str) -> bool:
        """Whether there is room now for a message for an actor.

        Raises:
            UsageError: there never is room for so much.
        """
        new = {one.key: one.size for one in attachments if isinstance(one, SharedAttachment)}
        wanted = sum(new.values())
        if (self.most is not None and wanted > self.most) or len(new) > self._most_values:
            raise UsageError(
                f"a message for {who} carries {len(new)} shared values of {wanted} bytes, the messages of a tree hold "
                f"at most {self._most_values} of {self.most}; raise max_shared_bytes of the Supervisor, or the limit "
                f"of descriptors, of which a quarter is for values"
            )
        more = {key: size for key, size in new.items() if key not in self._counts}
        fits = self.most is None or self.used + sum(more.values()) <= self.most
        return fits and len(self._counts) + len(more) <= self._most_values

    # ---- inside

    def _release(self, key: int, size: int, who: str) -> None:
        self._holders[who] -= 1
        if not self._holders[who]:
            del self._holders[who]
        left = self._counts[key] - 1
        if left:
            self._counts[key] = left
            return
        del self._counts[key]
        self.used -= size
        if self._line:
            self._loop.call_soon(self._grant)

    def _grant(self) -> None:
        while self._line and (self._line[0].gone or self.fits(self._line[0].attachments, self._line[0].who)):
            place = self._line.popleft()
            if not place.gone:
                place.grant(self._held(place.attachments, place.who))

    def _held(self, attachments: Attachments, who: str) -> Attachments:
        return tuple(self._hold(one, who) if isinstance(one, SharedAttachment) else one for one in attachments)

    def _hold(self, one: SharedAttachment, who: str) -> HeldAttachment:
        self._holders[who] += 1
        if one.key in self._counts:
            self._counts[one.key] += 1
        else:
            self._counts[one.key] = 1
            self.used += one.size
        return HeldAttachment(one, self, who)


class HeldAttachment(SharedAttachment):
    """A shared value of one message in the daemon. It holds room until the last reference to it is gone.

    That is when the message is settled: nothing else refers to it.
    """

    __slots__ = ("__weakref__", "_budget", "_origin", "_who")

    def __init__(self, origin: SharedAttachment, budget: SharedBudget, who: str) -> None:
        super().__init__(origin.size)
        self._origin = origin.origin
        self._budget = budget
        self._who = who

    @property
    def origin(self) -> SharedAttachment:
        """The value itself."""
        return self._origin

    @property
    def key(self) -> int:
        """See `SharedAttachment`."""
        return self._origin.key

    @property
    def value(self) -> bytes:
        """See `SharedAttachment`."""
        return self._origin.value

    def __del__(self) -> None:
        self._budget.release(self._origin.key, self.size, self._who)


class _Place:
    """A sender's place in the line."""

    __slots__ = ("_budget", "_granted", "attachments", "entry", "owner", "who")

    def __init__(
        self, budget: SharedBudget, owner: object, entry: Entry, who: str, granted: asyncio.Future[Attachments]
    ) -> None:
        self.owner = owner
        self.who = who
        self.entry = entry
        self.attachments = entry.message.packed.attachments or ()
        self._budget = budget
        self._granted = granted

    @property
    def gone(self) -> bool:
        """Whether the sender no longer waits."""
        return self._granted.done()

    def grant(self, held: Attachments) -> None:
        """There is room, and it is reserved."""
        self._granted.set_result(held)

    def leave(self) -> None:
        """The sender no longer waits."""
        self._granted.cancel()
        self._budget.leave(self)

    async def wait(self, deadline: float | None) -> Attachments:
        """Wait until there is room, or until `deadline` on the monotonic clock; it is reserved then.

        Raises:
            TimeoutError: there was none in time; the text says who has it.
        """
        now = clock_of(asyncio.get_running_loop()).monotonic()
        seconds = None if deadline is None else max(0.0, deadline - now)
        try:
            async with asyncio.timeout(seconds):
                return await self._granted
        except TimeoutError:
            raise TimeoutError(self._budget.taken_by()) from None
        finally:
            self.leave()


class _WaitForRoom(Wait):
    """A message that waits for room for its shared values, and then in its mailbox."""

    def __init__(self, place: _Place, enter: Callable[[Entry], Taken | Wait | Dropped]) -> None:
        self._before = place
        self._then: Wait | None = None
        self._again = enter

    def cancel(self) -> None:
        """See `Wait`."""
        if self._then is None:
            self._before.leave()
        else:
            self._then.cancel()

    async def taken(self, deadline: float | None = None) -> Taken:
        """See `Wait`."""
        held = await self._before.wait(deadline)
        entered = self._again(self._before.entry.holding(held))
        if isinstance(entered, Wait):
            self._then = entered
            entered = await entered.taken(deadline)
        assert isinstance(entered, Taken)  # noqa: S101 - what waits is not dropped
        return entered
