"""A contender that does what a test tells it, to be run by `benchmarks.serve`."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.absent import Absent
from tests.support.taking_time import sleep_forever


class Puppet:
    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def versions(self):
        return {"puppet": "1"}

    def answer(self, count):
        os.write(1, b"this goes to standard error\n")
        return {"rate": count}

    def refuse(self):
        raise Absent("it has no hands")

    def fail(self):
        raise ValueError("no")

    def crash(self):
        os.write(2, b"the last words\n")
        os._exit(3)

    def hang(self):
        sleep_forever()

    def leave_behind(self):
        sleeper = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
        return {"pid": sleeper.pid}


def contender():
    return Puppet()
