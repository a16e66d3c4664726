"""The limit: a raw pipe, both sides blocking, msgspec on both; no asyncio, no supervision, nothing survives a crash."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Self

import msgspec


class Add(msgspec.Struct, array_like=True, tag=0):
    number: int


class Tell(msgspec.Struct, array_like=True, tag=1):
    number: int


class Reply(msgspec.Struct, array_like=True):
    total: int


def serve(pipe: Connection) -> None:
    """Runs in the other process, until the pipe ends."""
    decode, encode, total = msgspec.msgpack.Decoder(Add | Tell).decode, msgspec.msgpack.Encoder().encode, 0
    try:
        while True:
            message = decode(pipe.recv_bytes())
            total += message.number
            if type(message) is Add:
                pipe.send_bytes(encode(Reply(total)))
    except EOFError:
        pass


class RawPipe:
    name = "raw pipe, blocking"

    def __enter__(self) -> Self:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(theirs,))
        self._process.start()
        theirs.close()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Reply).decode
        self._ask()
        return self

    def __exit__(self, *exc: object) -> None:
        self._pipe.close()
        self._process.join()

    def ask_alone(self, count: int) -> list[int]:
        took = []
        for _ in range(count):
            begun = time.perf_counter_ns()
            self._ask()
            took.append(time.perf_counter_ns() - begun)
        return took

    def ask_many(self, count: int, in_flight: int) -> float:
        begun = time.perf_counter()
        for _ in range(in_flight):
            self._send(Add(1))
        for _ in range(count - in_flight):
            self._decode(self._pipe.recv_bytes())
            self._send(Add(1))
        for _ in range(in_flight):
            self._decode(self._pipe.recv_bytes())
        return time.perf_counter() - begun

    def tell(self, count: int) -> float:
        begun = time.perf_counter()
        for _ in range(count):
            self._send(Tell(1))
        self._ask()
        return time.perf_counter() - begun

    def _ask(self) -> int:
        self._send(Add(1))
        return self._decode(self._pipe.recv_bytes()).total

    def _send(self, message: Add | Tell) -> None:
        self._pipe.send_bytes(self._encode(message))
