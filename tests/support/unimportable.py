"""Jobs whose module raises what is no Exception, in the processes that run them."""

import multiprocessing

from actors import job

if multiprocessing.parent_process() is not None:
    raise KeyboardInterrupt("enough")


@job
def double(number: int) -> int:
    return 2 * number
