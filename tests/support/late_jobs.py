"""A job whose module takes a while to import in the processes that run it."""

import multiprocessing
import time

from actors import job

if multiprocessing.parent_process() is not None:
    time.sleep(0.3)


@job
def hang() -> None:
    time.sleep(3600)
