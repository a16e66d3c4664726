"""Actors with processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from actors import Actor, Message, handles


class Meet(Message[list[int]]):
    """How programs and forks that the actor starts end at each of the signals: the exit codes."""


class Parent(Actor):
    @handles
    def meet(self, msg: Meet) -> list[int]:
        programs = [
            subprocess.run(["/bin/sh", "-c", f"kill -{number} $$"], check=False).returncode for number in SIGNALS
        ]
        return [*programs, *map(end_of_a_fork, SIGNALS)]


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_of_a_fork(number):
    """The exit code of a fork that gets the signal; 9 when it lives on, 1 when it is interrupted as any Python is."""
    pid = os.fork()
    if pid == 0:
        try:
            os.kill(os.getpid(), number)
            time.sleep(0.001)
            os._exit(9)
        except KeyboardInterrupt:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Own(Message[str]):
    """Sends the actor the signal for which it has a handler of its own; the handler's word."""


class Particular(Actor):
    def on_start(self) -> None:
        self.said = "nothing"
        signal.signal(signal.SIGHUP, self.reload)

    def reload(self, number: int, frame: object) -> None:
        self.said = signal.Signals(number).name

    @handles
    def own(self, msg: Own) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        return self.said
