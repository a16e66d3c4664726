"""Workloads: what is measured, and what a contender has to be able to do for it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

IN_FLIGHT = 64


class Contender(Protocol):
    """One way to have another process add numbers up. Open from `__enter__` to `__exit__`."""

    name: str

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

    def ask_alone(self, count: int) -> list[int]:
        """One ask after the other; how many nanoseconds each took."""

    def ask_many(self, count: int, in_flight: int) -> float:
        """Asks of which `in_flight` are always under way; how many seconds all of them took."""

    def tell(self, count: int) -> float:
        """Tells, then one ask as a barrier behind them; how many seconds until its reply."""


@dataclass(frozen=True)
class Counts:
    """How much of each workload one repetition does."""

    alone: int
    many: int
    tells: int


@dataclass(frozen=True)
class Workload:
    """One measurement that gives one or more figures.

    Attributes:
        titles: of the figures, with their units.
        measure: makes one repetition.
    """

    titles: tuple[str, ...]
    measure: Callable[[Contender, Counts], tuple[float, ...]]


def _alone(contender: Contender, counts: Counts) -> tuple[float, ...]:
    cuts = statistics.quantiles(contender.ask_alone(counts.alone), n=100)
    return cuts[49] / 1000, cuts[98] / 1000


def _many(contender: Contender, counts: Counts) -> tuple[float, ...]:
    return (counts.many / contender.ask_many(counts.many, IN_FLIGHT),)


def _tell(contender: Contender, counts: Counts) -> tuple[float, ...]:
    return (counts.tells / contender.tell(counts.tells),)


WORKLOADS = (
    Workload(("ask alone, p50, us", "ask alone, p99, us"), _alone),
    Workload((f"asks, {IN_FLIGHT} in flight, per second",), _many),
    Workload(("tells with a barrier, per second",), _tell),
)
