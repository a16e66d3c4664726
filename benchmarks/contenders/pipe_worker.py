"""The other end of the raw pipe: what a spawned process imports for it, and no more."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection

import msgspec

TAKE, ECHO, SUM = b"take", b"echo", b"sum"  # announce a payload that comes as it is, without any encoding


class Add(msgspec.Struct, array_like=True, tag=0):
    number: int


class Tell(msgspec.Struct, array_like=True, tag=1):
    number: int


class Run(msgspec.Struct, array_like=True, tag=2):
    asks: int
    tells: int


class Reply(msgspec.Struct, array_like=True):
    total: int


class Took(msgspec.Struct, array_like=True):
    """Microseconds of one ask, and seconds for all tells."""

    p50: float
    p99: float
    tells: float


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Add | Tell | Run).decode


def serve(pipe: Connection, other: Connection | None = None) -> None:
    """Runs in the other process, until the pipe ends."""
    total = 0
    try:
        while True:
            data = pipe.recv_bytes()
            if data == TAKE:
                pipe.send_bytes(encode(Reply(len(pipe.recv_bytes()))))
                continue
            if data == ECHO:
                pipe.send_bytes(pipe.recv_bytes())
                continue
            if data == SUM:
                pipe.send_bytes(encode(Reply(summed(pipe.recv_bytes()))))
                continue
            message = decode(data)
            if isinstance(message, Run):
                assert other is not None
                pipe.send_bytes(encode(run(other, message)))
                continue
            total += message.number
            if type(message) is Add:
                pipe.send_bytes(encode(Reply(total)))
    except EOFError:
        pass


def summed(payload: bytes) -> int:
    import numpy as np  # noqa: PLC0415 - only arrays need it

    return int(np.frombuffer(payload, dtype="f8").sum())


def run(other: Connection, what: Run) -> Took:
    """Ask and tell the process at the other end of `other`."""
    decode_reply, took = msgspec.msgpack.Decoder(Reply).decode, []
    for _ in range(what.asks):
        begun = time.perf_counter_ns()
        other.send_bytes(encode(Add(1)))
        decode_reply(other.recv_bytes())
        took.append(time.perf_counter_ns() - begun)
    begun = time.perf_counter_ns()
    for _ in range(what.tells):
        other.send_bytes(encode(Tell(1)))
    other.send_bytes(encode(Add(1)))
    decode_reply(other.recv_bytes())
    tells = time.perf_counter_ns() - begun
    took.sort()
    return Took(took[len(took) // 2] / 1000, took[len(took) * 99 // 100] / 1000, tells / 1e9)
