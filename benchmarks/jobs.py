"""Map a function over many items of which some kill, hang or raise, beside the same map without them.

    python -m benchmarks.jobs                       # ours and ProcessPoolExecutor; peers where they are installed
    python -m benchmarks.jobs --items 500 --bad 20 --only ours
    python -m benchmarks.jobs --items 10000 --bad 0 --cost 0.00005    # small items, where the daemon's own time counts

Each contender runs in an interpreter of its own, one after the other, clean and with bad items. A contender that does
not finish within its limit is ended with everything it started.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from actors import ActorsError, Jobs
from benchmarks.jobs_worker import DEEDS, deed_of, numbered, plain
from supervisor import ChildSpec, Supervisor

TIMEOUT = 2.0  # seconds for one item, where the contender has such a limit
Work = tuple[int, int, float]
Outcome = dict[str, Any]


def ours(items: list[Work], size: int) -> Outcome:
    async def run() -> Outcome:
        logging.disable()
        good, bad, why = 0, 0, ""
        async with Supervisor(ChildSpec(Jobs, name="pool", size=size)) as root:
            await root["pool"].run(numbered, (0, 0, 0.0))
            began, used = time.perf_counter(), time.process_time()
            async for outcome in root["pool"].map(numbered, items, timeout=TIMEOUT, return_exceptions=True, limit=256):
                if not isinstance(outcome, ActorsError):
                    good += 1
                    continue
                bad += 1
                if deed_of(*outcome.item[:2]) == "work":
                    why = str(outcome)  # an error of an item that is not bad
            return _outcome(good, bad, began, used, why)

    return asyncio.run(run())


def executor(items: list[Work], size: int) -> Outcome:
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - each contender pays for itself alone
    from multiprocessing import get_context  # noqa: PLC0415 - as above

    with ProcessPoolExecutor(size, get_context("spawn")) as pool:
        pool.submit(plain, (0, 0, 0.0)).result()
        return _collected(lambda: (future.result() for future in [pool.submit(plain, item) for item in items]))


def loky(items: list[Work], size: int) -> Outcome:
    from loky import get_reusable_executor  # noqa: PLC0415 - may not be installed

    pool = get_reusable_executor(size)
    pool.submit(plain, (0, 0, 0.0)).result()
    return _collected(lambda: (future.result() for future in [pool.submit(plain, item) for item in items]))


def joblib(items: list[Work], size: int) -> Outcome:
    from joblib import Parallel, delayed  # noqa: PLC0415 - may not be installed

    with Parallel(n_jobs=size, return_as="generator", timeout=60) as parallel:
        list(parallel([delayed(plain)((0, 0, 0.0))]))
        return _collected(lambda: parallel(delayed(plain)(item) for item in items))


def pebble(items: list[Work], size: int) -> Outcome:
    from multiprocessing import get_context  # noqa: PLC0415 - each contender pays for itself alone

    from pebble import ProcessPool  # noqa: PLC0415 - may not be installed

    with ProcessPool(size, context=get_context("spawn")) as pool:
        pool.schedule(plain, args=((0, 0, 0.0),)).result()
        return _collected(lambda: pool.map(plain, items, timeout=TIMEOUT).result())


CONTENDERS: dict[str, Callable[[list[Work], int], Outcome]] = {
    "ours": ours,
    "ProcessPoolExecutor": executor,
    "pebble": pebble,
    "loky": loky,
    "joblib": joblib,
}


def _collected(begin: Callable[[], Iterable[int]]) -> Outcome:
    """Iterate as a program would that goes on after an error; what ends the iteration is named."""
    good, bad, why = 0, 0, ""
    began, used = time.perf_counter(), time.process_time()
    try:
        results = iter(begin())
    except Exception as error:  # the pool broke while items were submitted
        return _outcome(0, 1, began, used, type(error).__name__)
    while True:
        try:
            next(results)
        except StopIteration:
            break
        except Exception as error:
            bad += 1
            why = why or type(error).__name__
        else:
            good += 1
    return _outcome(good, bad, began, used, why)


def _outcome(good: int, bad: int, began: float, used: float, why: str) -> Outcome:
    """What became of a map; `began` and `used` are clocks of its begin: of the wall, and of this process."""
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    return {"results": good, "errors": bad, "seconds": seconds, "first": why, "each": processor / max(1, good + bad)}


def _in_its_own_interpreter(name: str, args: argparse.Namespace, every: int) -> Outcome:
    command = [sys.executable, "-m", "benchmarks.jobs", "--run", name, "--every", str(every)]
    command += ["--items", str(args.items), "--size", str(args.size), "--cost", str(args.cost)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        out, _ = process.communicate(timeout=args.limit)
        return dict(json.loads(out.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return {"note": f"not done after {args.limit:g} s"}
    except (IndexError, ValueError):
        return {"note": "it ended without a result; is it installed?"}
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _row(name: str, clean: Outcome, bad: Outcome, args: argparse.Namespace) -> str:
    cells = []
    for outcome in (clean, bad):
        if "note" in outcome:
            cells += [outcome["note"], "", ""]
        elif outcome:
            first = f", first {outcome['first']}" if outcome.get("first") else ""
            cells += [f"{outcome['results']} results, {outcome['errors']} errors{first}", f"{outcome['seconds']:.1f}"]
            cells.append(f"{outcome['each'] * 1e6:.0f}")
        else:
            cells += ["", "", ""]
    hangs = sum(deed_of(number, args.every) == "hang" for number in range(args.items)) * TIMEOUT / args.size
    ratio = ""
    if "seconds" in clean and "seconds" in bad:
        ratio = f"{(bad['seconds'] - hangs) / clean['seconds']:.2f}"
    return f"| {name} | {' | '.join(cells)} | {ratio} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--bad", type=int, default=200)
    parser.add_argument("--size", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--cost", type=float, default=0.01, help="seconds of processor time for one item")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for one map")
    parser.add_argument("--only", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--every", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        items = [(number, args.every, args.cost) for number in range(args.items)]
        print(json.dumps(CONTENDERS[args.run](items, args.size)), flush=True)
        return
    args.every = args.items // args.bad if args.bad else 0
    print(
        f"{args.items} items of {args.cost * 1000:g} ms, {args.bad} bad ({', '.join(DEEDS)}), {args.size} processes; "
        f"µs: processor time of the process that maps, an item\n"
    )
    print("| contender | without bad items | s | µs | with bad items | s | µs | times, without the hangs |")
    print("|---|---|---|---|---|---|---|---|")
    for name in args.only:
        clean = _in_its_own_interpreter(name, args, 0)
        bad = _in_its_own_interpreter(name, args, args.every) if args.bad else {}
        print(_row(name, clean, bad, args), flush=True)


if __name__ == "__main__":
    main()
