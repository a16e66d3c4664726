"""Errors of a store, by what can be done about them."""

from __future__ import annotations

from supervisor.errors import SupervisorError


class StoreError(SupervisorError):
    """The store could not do it, and nothing of it was stored.

    The text names the file, what is wrong with it, and what to do. The tree lives on; when the cause is gone, for
    instance when the disk has room again, the store works again.
    """


class NoSuchRecord(StoreError):
    """The store does not have it: a dead letter that was requeued or dropped before, a message that fell due before."""


class StoreBusy(StoreError):
    """Another owner has the store open.

    Attributes:
        pid: process id of the owner, None where it is not known.
    """

    def __init__(self, text: str, *, pid: int | None) -> None:
        super().__init__(text)
        self.pid = pid
