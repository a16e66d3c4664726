"""SharedBudget: the shared values that the messages of one tree hold, bounded, and the senders that wait for room.

A value counts from when its message enters a mailbox until that is settled, once however many messages carry it.
Those of replies and of items count while the daemon has them, and take no room from messages: a reader that sends each
item on would wait for itself. What bounds them is the credit of their stream.

Runs on the loop's thread; a value that another thread drops last is released there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
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
    """

    def __init__(self, most: int | None, most_values: int, loop: asyncio.AbstractEventLoop) -> None:
        self.most: Final = most
        self._most_values = most_values
        self._loop = loop
        self._held = _Tally()  # of messages
        self._passing = _Tally()  # of replies and items
        self._holders: Counter[str] = Counter()  # how many values the messages for each actor hold
        self._line: deque[_Place] = deque()

    @property
    def values(self) -> int:
        """How many values messages hold, and replies and items that the daemon has."""
        return len(self._held.sizes.keys() | self._passing.sizes.keys())

    @property
    def used(self) -> int:
        """Their bytes."""
        return sum((self._held.sizes | self._passing.sizes).values())

    def count(self, attachments: Sequence[Carried]) -> Sequence[Carried]:
        """The same attachments of a reply or an item, which count until they are gone."""
        return [self._wrapped(one, self._passing, None) for one in attachments]

    def hold(self, attachments: Attachments, who: str) -> Attachments | None:
        """The same attachments, which hold room until they are gone; None when there is none now.

        Args:
            attachments: of a message.
            who: the actor that it is for.

        Raises:
            UsageError: there never is room for so much.
        """
        fits = self.fits(attachments, who)
        return self._holding(attachments, who) if fits and not self._line else None

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
        held = self._held
        bound = "" if self.most is None else f"{self.most} bytes (max_shared_bytes) or "
        number = len(held.sizes)
        by = ", ".join(f"{count} for {who}" for who, count in self._holders.most_common(_NAMED))
        waiting = f"; {len(self._line)} messages wait for room" if self._line else ""
        return (
            f"messages hold {number} shared values of {held.bytes} bytes{f' ({by})' if by else ''}, of at most "
            f"{bound}{self._most_values} values{waiting}"
        )

    def leave(self, place: _Place) -> None:
        """A sender no longer waits."""
        with contextlib.suppress(ValueError):
            self._line.remove(place)
        self._grant()

    def release(self, key: int, who: str | None) -> None:
        """A message for an actor no longer holds a value, or a reply or an item, of None. Runs in any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits
            if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - the public one raises where there is none
                self._release(key, who)
            else:
                self._loop.call_soon_threadsafe(self._release, key, who)

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
        held = self._held
        more = {key: size for key, size in new.items() if key not in held.sizes}
        fits = self.most is None or held.bytes + sum(more.values()) <= self.most
        return fits and len(held.sizes) + len(more) <= self._most_values

    # ---- inside

    def _release(self, key: int, who: str | None) -> None:
        if who is None:
            self._passing.remove(key)
            return
        self._holders[who] -= 1
        if not self._holders[who]:
            del self._holders[who]
        self._held.remove(key)
        if self._line:
            self._loop.call_soon(self._grant)

    def _grant(self) -> None:
        while self._line and (self._line[0].gone or self.fits(self._line[0].attachments, self._line[0].who)):
            place = self._line.popleft()
            if not place.gone:
                place.grant(self._holding(place.attachments, place.who))

    def _holding(self, attachments: Attachments, who: str) -> Attachments:
        return tuple(self._wrapped(one, self._held, who) for one in attachments)

    def _wrapped(self, one: Carried, tally: _Tally, who: str | None) -> Carried:
        if not isinstance(one, SharedAttachment):
            return one
        tally.add(one)
        if who is not None:
            self._holders[who] += 1
        return HeldAttachment(one, self, who)


class _Tally:
    """Values, and how many have each.

    Attributes:
        sizes: of the values, by key.
        bytes: their sum.
    """

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.bytes = 0
        self._counts: dict[int, int] = {}

    def add(self, one: SharedAttachment) -> None:
        """One more has this value."""
        count = self._counts.get(one.key, 0)
        self._counts[one.key] = count + 1
        if not count:
            self.sizes[one.key] = one.size
            self.bytes += one.size

    def remove(self, key: int) -> None:
        """One no longer has it."""
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
            self.bytes -= self.sizes.pop(key)


class HeldAttachment(SharedAttachment):
    """A shared value of one message, reply or item in the daemon. It counts until the last reference to it is gone.

    Of a message that is when it is settled: nothing else refers to it.
    """

    __slots__ = ("__weakref__", "_budget", "_origin", "_who")

    def __init__(self, origin: SharedAttachment, budget: SharedBudget, who: str | None) -> None:
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
        self._budget.release(self._origin.key, self._who)


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
