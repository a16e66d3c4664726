"""Reload: `actorctl run --reload`: the tree in a child process, which is started anew when a Python file changes.

The child has a process group of its own, so that Ctrl-C in a terminal is one signal to it and not two, of which the
second would kill its actors. On Linux it is killed when this process is, and its actors with it.

Runs in the main thread of `actorctl`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final

import click

from supervisor.ctl.errors import ExitCode

EXTRA: Final = "--reload needs watchfiles: pip install 'actor-supervisor[cli]'"
PATIENCE: Final = 15.0  # seconds in which a tree stops before it is killed
LOOK: Final = 500  # ms between two looks whether the child has ended
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ASKED: Final = {
    -signal.SIGTERM,
    -signal.SIGINT,
    128 + signal.SIGTERM,
}  # how a tree ends that is stopped while it is still imported


def reloading(target: str) -> int:
    """Run the tree until a signal ends it, anew after each change; returns the exit code."""
    try:
        from watchfiles import PythonFilter, watch  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        click.echo(f"actorctl: {EXTRA}", err=True)
        return ExitCode.USAGE
    program = _Program(target)
    with _interrupted_by_signals(), suppress(KeyboardInterrupt), program:
        for changes in watch(Path.cwd(), watch_filter=PythonFilter(), yield_on_timeout=True, rust_timeout=LOOK):
            if changes:
                names = sorted({Path(file).name for _, file in changes})
                click.echo(f"actorctl: {', '.join(names[:3])} changed; starting anew", err=True)
                program.stop()
                program.start()
            else:
                program.tell_its_end()
    return program.exit_code


class _Program:
    """The process of the tree, started on entry and stopped on exit.

    Args:
        target: MODULE:TREE.
    """

    def __init__(self, target: str) -> None:
        self._words = [sys.executable, "-m", "supervisor.ctl", "run", target, "--parent", str(os.getpid())]
        self._process: subprocess.Popen[bytes]
        self._told = False

    def __enter__(self) -> None:
        self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def exit_code(self) -> int:
        """What to end with when it has ended."""
        code = self._process.returncode
        return ExitCode.DONE if code in _ASKED else code or ExitCode.DONE

    def start(self) -> None:
        """Start it; another process group than the terminal's cannot read from there."""
        self._told = False
        self._process = subprocess.Popen(self._words, process_group=0, stdin=subprocess.DEVNULL)  # noqa: S603 - the same program

    def stop(self) -> None:
        """Ask it to stop; after `PATIENCE`, or at a signal meanwhile, it is killed."""
        process = self._process
        try:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            click.echo(f"actorctl: it did not stop within {PATIENCE:g} s and is killed", err=True)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def tell_its_end(self) -> None:
        """Say once that it has ended by itself."""
        if self._process.poll() is not None and not self._told:
            click.echo(f"actorctl: ended with exit code {self._process.returncode}; waits for a change", err=True)
            self._told = True


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt at each signal that ends a program, unless it is ignored, as under nohup."""
    before = {number: signal.getsignal(number) for number in _ENDS}
    ours = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
