"""The limit: a raw pipe, both sides blocking, msgspec on both; no asyncio, no supervision, nothing survives a crash."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection

import msgspec

from benchmarks.blocking import BlockingContender
from benchmarks.contender import MIB, Figures
from benchmarks.contenders import pipe_worker
from benchmarks.contenders.pipe_worker import Add, Reply, Run, Tell, Took, encode

decode = msgspec.msgpack.Decoder(Reply).decode
decode_took = msgspec.msgpack.Decoder(Took).decode
spawn = multiprocessing.get_context("spawn")


class PipeWorker:
    """A process at the other end of a pipe.

    Args:
        others: ends of other pipes that it gets as well.
    """

    def __init__(self, *others: Connection) -> None:
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=pipe_worker.serve, args=(theirs, *others))
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def send_ask(self) -> None:
        self.pipe.send_bytes(encode(Add(1)))

    def send_tell(self) -> None:
        self.pipe.send_bytes(encode(Tell(1)))

    def receive(self) -> int:
        return decode(self.pipe.recv_bytes()).total

    def take(self, payload: bytes) -> int:
        self.pipe.send_bytes(pipe_worker.TAKE)
        self.pipe.send_bytes(payload)
        return self.receive()

    def echo(self, payload: bytes) -> int:
        self.pipe.send_bytes(pipe_worker.ECHO)
        self.pipe.send_bytes(payload)
        return len(self.pipe.recv_bytes())

    def sum(self, array: memoryview) -> int:
        self.pipe.send_bytes(pipe_worker.SUM)
        self.pipe.send_bytes(array)
        return self.receive()

    def run(self, asks: int, tells: int) -> Took:
        """Have it ask and tell the process at the other end of its other pipe."""
        self.pipe.send_bytes(encode(Run(asks, tells)))
        return decode_took(self.pipe.recv_bytes())

    def end(self) -> None:
        self.pipe.close()
        self.process.join()


class RawPipe(BlockingContender[PipeWorker]):
    PACKAGES = ("msgspec",)

    def _begin(self) -> PipeWorker:
        return PipeWorker()

    def _end(self, workers: list[PipeWorker]) -> None:
        for worker in workers:
            worker.end()

    def array(self, count: int, mib: int) -> Figures:
        import numpy as np  # noqa: PLC0415 - only arrays need it

        array, figures = np.ones(mib * MIB // 8), {}
        for name in ("rate", "again"):  # the same for a pipe
            begun = time.perf_counter()
            for _ in range(count):
                assert self._worker.sum(array.data) == array.size
            figures[name] = count * mib / (time.perf_counter() - begun)
        return figures

    def between_ask(self, count: int) -> Figures:
        took = self._between(count, 0)
        return {"p50": took.p50, "p99": took.p99}

    def between_tell(self, count: int) -> Figures:
        return {"rate": count / self._between(1, count).tells}

    def _between(self, asks: int, tells: int) -> Took:
        here, there = spawn.Pipe()
        adder = spawn.Process(target=pipe_worker.serve, args=(there,))
        adder.start()
        there.close()
        caller = PipeWorker(here)
        here.close()
        try:
            return caller.run(asks, tells)
        finally:
            caller.end()
            adder.join()


def contender() -> RawPipe:
    return RawPipe()
