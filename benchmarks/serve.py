"""One contender in an interpreter of its own: a line of JSON in is a workload, a line of JSON out its figures.

    python -m benchmarks.serve benchmarks.contenders.ours thread --pin

First it says what it is: `{"versions": {...}}`. Then `{"do": "ask", "with": {"count": 100}}` is answered by one of
`{"figures": {"p50": 54.1}}`, `{"absent": "why it cannot"}` and `{"failed": "what went wrong"}`. The end of its input
ends it. It imports the standard library and the contender, and what a spawned process imports again of it is little.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any, TextIO

from benchmarks.absent import Absent


def main() -> None:
    name, *options = sys.argv[1:]
    answers = _answers()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # it was started with signals blocked
    if "--pin" in options:
        options.remove("--pin")
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with importlib.import_module(name).contender(*options) as contender:
        _say(answers, {"versions": contender.versions()})
        for line in sys.stdin:
            _say(answers, _done(contender, json.loads(line)))


def _answers() -> TextIO:
    """Where answers go; whatever else is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _done(contender: Any, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"figures": getattr(contender, request["do"])(**request["with"])}
    except Absent as why:
        return {"absent": str(why)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
