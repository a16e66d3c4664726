"""A terminal of its own for a daemon: what is typed there reaches the whole foreground process group."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import threading

from tests.support.waiting import DEADLINE, ROOT

CTRL_C = b"\x03"


class Terminal:
    """Runs a script in the foreground of a new terminal; what it writes there is collected.

    Attributes:
        output: everything written to the terminal so far; all of it once the process has ended.
        process: the script's.
    """

    def __init__(self, script, *args, **environment):
        self._master, slave = os.openpty()
        self.output = ""
        self._more = threading.Condition()
        try:
            self.process = subprocess.Popen(
                [sys.executable, str(script), *args],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                preexec_fn=_take_the_foreground,  # noqa: PLW1509 - two system calls, no lock
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONFAULTHANDLER": "1",
                    **environment,
                },
            )
        finally:
            os.close(slave)
        self._collector = threading.Thread(target=self._collect)
        self._collector.start()

    def type(self, keys):
        """Press keys, if a process still reads."""
        with contextlib.suppress(OSError):
            os.write(self._master, keys)

    def read_until(self, word):
        """Wait until the word stands in the output."""
        with self._more:
            assert self._more.wait_for(lambda: word in self.output, DEADLINE), self.output

    def ends_within(self, seconds):
        """Whether the process ends in that time."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self):
        """The exit code. A process that does not end writes its stacks first."""
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(DEADLINE)
            raise AssertionError(self.output) from None
        finally:
            self.process.kill()
            self.process.wait()
            self._collector.join()
            os.close(self._master)

    def exceptions(self):
        """The exceptions whose tracebacks are in the output, or that were ignored or never retrieved."""
        return set(
            re.findall(
                r"^([\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Group)\b|.*\bnever\b.*)", self.output, re.MULTILINE
            )
        )

    def _collect(self):
        decode = codecs.getincrementaldecoder("utf-8")().decode
        while True:
            try:
                chunk = os.read(self._master, 65536)
            except OSError:  # no process has it open any more
                break
            with self._more:
                self.output += decode(chunk).replace("\r", "")
                self._more.notify_all()


def _take_the_foreground():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell ignores it for jobs in the background
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
