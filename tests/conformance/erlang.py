"""The table as Erlang terms, and what a real OTP supervisor makes of it."""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.conformance.scenarios import Scenario, Tree, Worker

RUNNER = Path(__file__).with_name("otp_runner.erl")
PATIENCE = 300.0  # seconds for the whole table


class Atom(str):
    """A word of Erlang; other strings are Erlang strings."""

    __slots__ = ()


def installed() -> bool:
    """Whether this machine has Erlang."""
    return shutil.which("escript") is not None


def term(value: Any) -> str:
    """A value in Erlang's own notation."""
    match value:
        case bool() | None:
            return str(value).lower()
        case Atom():
            return f"'{value}'"
        case str():
            return f'"{value}"'
        case int() | float():
            return str(value)
        case tuple():
            return f"{{{', '.join(map(term, value))}}}"
        case list():
            return f"[{', '.join(map(term, value))}]"
        case dict():
            return f"#{{{', '.join(f'{key} => {term(each)}' for key, each in value.items())}}}"
    raise TypeError(f"no Erlang for {value!r}")


def child(spec: Worker | Tree) -> tuple[Any, ...]:
    """A child as the runner wants it."""
    terms = {
        "restart": Atom(spec.restart),
        "shutdown": _shutdown(spec.shutdown),
        "significant": spec.significant,
    }
    if isinstance(spec, Worker):
        fails = [nth if isinstance(nth, int) else (Atom("from"), int(nth.removesuffix("-"))) for nth in spec.fails]
        kills = [(nth, path, Atom(how)) for nth, path, how in spec.kills]
        ways = {"fails": fails, "restless": spec.restless, "on_stop": Atom(spec.on_stop), "kills": kills}
        return Atom("worker"), Atom(spec.name), terms, ways
    flags = {
        "strategy": Atom(spec.strategy),
        "intensity": spec.intensity,
        "period": spec.period,
        "auto_shutdown": Atom(spec.auto_shutdown),
    }
    return Atom("sup"), Atom(spec.name), terms, flags, [child(each) for each in spec.children]


def step(words: tuple[Any, ...]) -> tuple[Any, ...]:
    """A step as the runner wants it."""
    match words:
        case ("kill", path, how):
            return Atom("kill"), path, Atom(how)
        case ("kill_together", supervisor, deaths):
            return Atom("kill_together"), supervisor, [(path, Atom(how)) for path, how in deaths]
        case ("start_child", supervisor, spec):
            return Atom("start_child"), supervisor, child(spec)
        case ("wait", seconds):
            return Atom("wait"), math.ceil(seconds * 1000)
        case (call, supervisor, name):
            return Atom(call), supervisor, Atom(name)
        case (word,):
            return (Atom(word),)
    raise TypeError(f"no such step: {words!r}")


def run(scenarios: Iterable[Scenario]) -> dict[str, list[str]]:
    """What happens under OTP, by scenario; under the empty name, which OTP it was."""
    text = "".join(
        f"{term((Atom('scenario'), each.name, child(each.tree), [step(words) for words in each.steps]))}.\n"
        for each in scenarios
    )
    with tempfile.NamedTemporaryFile("w", suffix=".terms") as file:
        file.write(text)
        file.flush()
        done = subprocess.run(
            ["escript", str(RUNNER), file.name], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    if done.returncode:
        raise RuntimeError(f"the Erlang runner failed: {done.stdout[-2000:]}\n{done.stderr}")
    found: dict[str, list[str]] = {"": []}
    lines = found[""]
    for line in done.stdout.splitlines():
        if line.startswith("scenario "):
            lines = found[line.removeprefix("scenario ")] = []
        else:
            lines.append(line)
    return found


def _shutdown(seconds: float) -> int | Atom:
    if math.isinf(seconds):
        return Atom("infinity")
    return round(seconds * 1000) if seconds else Atom("brutal_kill")
