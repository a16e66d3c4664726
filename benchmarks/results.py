"""Results: what was measured, as values, and the file they are kept in."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import msgspec


class Run(msgspec.Struct, kw_only=True):
    """One run of one of the two commands.

    Attributes:
        date: when it began.
        machine: what it ran on, a line for each fact.
        repetitions: how often the short workloads were done; of the long ones, how often.
        contenders: in the order of the tables; the first is what the others are compared with.
        versions: of what each contender is made of.
        samples: by figure and contender, one number for each repetition.
        absent: by figure and contender, why there is no number, or not for each repetition.
    """

    date: str
    machine: list[str]
    repetitions: tuple[int, int]
    contenders: list[str]
    versions: dict[str, dict[str, str]] = {}
    samples: dict[str, dict[str, list[float]]] = {}
    absent: dict[str, dict[str, str]] = {}

    def median(self, figure: str, contender: str) -> float | None:
        """The middle of its repetitions; None when there are none."""
        samples = self.samples.get(figure, {}).get(contender)
        return statistics.median(samples) if samples else None

    def note(self, figure: str, contender: str, sample: float) -> None:
        """One more repetition."""
        self.samples.setdefault(figure, {}).setdefault(contender, []).append(sample)

    def excuse(self, figure: str, contender: str, why: str) -> None:
        """There is no figure, for this reason."""
        self.absent.setdefault(figure, {})[contender] = discreet(why)


def discreet(text: str) -> str:
    """The text without what belongs to one machine: paths but for their last part, addresses on the net."""
    text = re.sub(r"\w+://\S+", "<address>", text)
    return re.sub(r"(?<!\w)/(?:[^\s/'\"]+/)+", "", text)


class Results(msgspec.Struct, kw_only=True):
    """The last figures of both commands; each replaces its own and leaves the other's.

    Attributes:
        bench: of `make bench`, one for each run.
        peers: of `make bench-peers`; none before its first.
    """

    bench: list[Run] = []
    peers: list[Run] = []


def load(path: Path) -> Results:
    """What is in the file; nothing when there is none."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else Results()


def save(path: Path, results: Results) -> None:
    """Write the file, readable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rounded(results)), indent=1) + b"\n")


def rounded(results: Results) -> Results:
    """The same with as many digits as mean something."""
    for run in [*results.bench, *results.peers]:
        for rows in run.samples.values():
            for samples in rows.values():
                samples[:] = [float(f"{sample:.5g}") for sample in samples]
    return results
