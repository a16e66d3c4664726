"""A job whose module takes a while to import in the processes that run it."""

import multiprocessing

from actors import job
from tests.support.taking_time import sleep_forever, work

if multiprocessing.parent_process() is not None:
    work(0.3)


@job
def hang() -> None:
    sleep_forever()
