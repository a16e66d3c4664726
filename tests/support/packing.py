"""A durable actor whose replies its daemon may be unable to read."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

from actors import Actor, Codec, Message, handles
from actors.child.messages.settling import SettlingOutbox


class Parcel:
    """Its codec fails in the daemon where that is asked for."""


def unpack(raw: int) -> Parcel:
    if multiprocessing.parent_process() is None and "PARCELS_FAIL" in os.environ:
        raise OSError("no such parcel")
    return Parcel()


class Pack(Message[Parcel]):
    """Note a name, and reply what may not be readable."""

    name: str


class Put(Message[None]):
    """Note a name."""

    name: str


class Wait(Message[None]):
    """Until a file is there."""

    gate: str


class Packed(Message[list[str]]):
    """The names."""


class Packer(Actor):
    codecs = (Codec(Parcel, encode=lambda _: 1, decode=unpack),)

    def __init__(self) -> None:
        self.names: list[str] = []

    def save(self) -> list[str]:
        return self.names

    def load(self, state: list[str]) -> None:
        self.names = state

    @handles
    def pack(self, msg: Pack) -> Parcel:
        self.names.append(msg.name)
        return Parcel()

    @handles
    def put(self, msg: Put) -> None:
        self.names.append(msg.name)

    @handles
    def wait(self, msg: Wait) -> None:
        while not Path(msg.gate).exists():
            time.sleep(0.005)

    @handles
    def packed(self, msg: Packed) -> list[str]:
        return self.names


class Silent(Packer):
    """In its first life it acknowledges asks, and answers none."""

    def on_start(self) -> None:
        if self.context.incarnation == 1:
            SettlingOutbox.reply = acknowledged  # type: ignore[method-assign]


def acknowledged(self: SettlingOutbox, seq: int, kind: int, payload: object, began: int, *_: object) -> None:
    self.acknowledge(seq, began)
    self.flush()
