"""ChannelEnd: how the channel of a life ends: by the last frame of its process, or because that breaks the protocol.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from actors.errors import WireError
from actors.wire.from_child import CrashReport, Goodbye


class ChannelReader(Protocol):
    """Takes the bytes of one process's channel.

    Attributes:
        refused: whether what still comes is dropped.
    """

    refused: bool

    @property
    def arrived(self) -> Callable[[bytes], None]:
        """Takes bytes in."""

    def take_rest(self) -> None:
        """The process has ended, its channel is read, and there are replies in its black box."""


class ChannelEnd(ABC):
    """The part of a life that knows how its channel ends; a subclass sets what reads it.

    Args:
        path: of the actor.
        loop: of the tree.

    Attributes:
        over: whether the life has ended.
    """

    over: bool
    _frames: ChannelReader

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._loop = loop
        self._wire_error: str | None = None  # the first reason for which nothing more is read
        self._farewell: CrashReport | Goodbye | None = None  # its last frame

    @abstractmethod
    def kill(self) -> None:
        """End its process at once."""

    @property
    def said_farewell(self) -> bool:
        """Whether its goodbye or crash report has arrived."""
        return self._farewell is not None

    def refuse(self, why: str) -> None:
        """It broke the protocol: only its life ends."""
        if self.over:
            return
        self._wire_error = self._wire_error or why
        self._frames.refused = True
        self.kill()

    def _broken(self, error: Exception) -> None:
        """A frame cannot be processed; later ones could not be trusted.

        What is no breach of the protocol is an error here, and goes to the loop's exception handler, too.
        """
        if isinstance(error, WireError):
            self.refuse(f"it broke the protocol: {error}")
            return
        context = {"message": f"a frame of {self._path} could not be processed", "exception": error}
        self._loop.call_exception_handler(context)
        self.refuse(f"a frame of it could not be processed: {type(error).__name__}: {error}")
