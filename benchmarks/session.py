"""Session: one contender at work, seen from the command; whatever it does, the command goes on and nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from benchmarks.processes import MARK, kill_marked

ROOT = Path(__file__).parents[1]
LEAVE = 15.0  # seconds a contender has to stop its workers
INTERRUPTS = {signal.SIGINT, signal.SIGTERM}


class ContenderFailed(Exception):
    """It crashed, hung, or never began; the text says which, with its last words."""


class Session:
    """A contender in a process of its own, with a process group and a directory for temporary files of its own.

    Args:
        module: where the contender is.
        options: of the contender; "--pin" puts it and all it starts on one core.
        python: the interpreter that it runs in.
        patience: seconds it has to begin.

    Raises:
        ContenderFailed: it did not begin.
    """

    def __init__(self, module: str, *options: str, python: str | Path = sys.executable, patience: float = 60.0) -> None:
        self.mark = secrets.token_hex(8)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the session
        self._place = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._left = b""
        held = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)  # a start that is interrupted is lost
        try:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.serve", module, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                cwd=ROOT,
                env={**os.environ, MARK: self.mark, "PYTHONPATH": str(ROOT), "TMPDIR": self._place.name},
                start_new_session=True,
            )
        except OSError:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            raise
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            self.versions: dict[str, str] = self._answer(patience)["versions"]
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()

    def do(self, workload: str, arguments: dict[str, Any], patience: float) -> dict[str, Any]:
        """Have it do a workload.

        Raises:
            ContenderFailed: it did not answer within `patience` seconds. The session is over.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": workload, "with": arguments}).encode() + b"\n")
            self._process.stdin.flush()
            return self._answer(patience)
        except (ContenderFailed, OSError) as error:
            self.kill()
            if isinstance(error, ContenderFailed):
                raise
            raise ContenderFailed(f"it is gone: {self._last_words()}") from None

    def close(self) -> None:
        """Let it end; what is left after that is killed."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE)
        self.kill()

    def kill(self) -> None:
        """End it and everything it has started, at once."""
        kill_marked(self.mark)
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._said.close()
        self._place.cleanup()

    def _answer(self, patience: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        deadline = time.monotonic() + patience
        while b"\n" not in self._left:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise ContenderFailed(f"no answer within {patience:g} s")
            some = os.read(self._process.stdout.fileno(), 65536)
            if not some:
                raise ContenderFailed(f"it ended: {self._last_words()}")
            self._left += some
        line, _, self._left = self._left.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        if self._said.closed:
            return "without a word"
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - 2000))
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "without a word"
