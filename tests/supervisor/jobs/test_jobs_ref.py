"""Jobs in real processes: `run` and `map` of a pool's ref."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from fractions import Fraction
from itertools import count
from pathlib import Path

import pytest

from actors import ActorCrashed, ActorsError, ActorStopped, AskTimeout, HandlerError, Jobs, Rejected, Shared, UsageError
from actors.ipc.shared_memory import SWITCH
from actors.jobs.jobs import IMPORT_LIMIT
from supervisor import INFINITY, ChildExited, ChildSpec, Intensity, RestartIntensityExceeded, Supervisor
from supervisor.core.rules.policy import OVER_A_JOB
from supervisor.core.tree.commands import Decision
from tests.support import jobs, late_jobs, unimportable
from tests.support.actors import Echo, Puppet
from tests.support.jobs import Item, Report, double, work
from tests.support.sharers import segments
from tests.support.waiting import DEADLINE, Watch, until

pytestmark = pytest.mark.processes


def tree(size=2, **options):
    """A tree in which one counted restart is too many."""
    return Supervisor(ChildSpec(Jobs, name="pool", size=size, **options), intensity=Intensity(0), spares=0)


def lines(path):
    return path.read_text().split() if path.exists() else []


async def test_a_job_runs_in_another_process_and_answers_with_its_type():
    async with tree() as root:
        pool = root["pool"]
        report = await pool.run(work, Item(7))
        assert report == Report(7, report.pid)
        assert report.pid != os.getpid()
        assert await pool.run(jobs.options, "a", 1, strict=True) == ("a", 1, True)
        assert await pool.run(jobs.named_alike, function=1, self=3) == 2
        assert await pool.run(jobs.length, bytes(3_000_000)) == 3_000_000
        assert await pool.run(jobs.zeros, 3_000_000) == bytes(3_000_000)


@pytest.mark.parametrize("way", ["shared", "off"])
async def test_values_in_shared_memory(way, monkeypatch, tmp_path):
    """In arguments and results, beside small ones, and again after a crash; none is left."""
    monkeypatch.setenv(SWITCH, "on" if way == "shared" else "off")
    large, small = bytes(range(256)) * 1024, b"small"
    async with tree(size=1) as root:
        pool = root["pool"]
        values = [Shared.of(large), Shared.of(small), Shared.of(large)]
        died = str(tmp_path / "died")
        result = await pool.run(jobs.reversed_bytes, values, die_once=died, idempotent=True, timeout=None)
        assert (large + small + large)[::-1] == bytes(result["back"])
        assert large == bytes(result["first"])
        async for one in pool.map(jobs.reversed_bytes, [[values[1]], [values[0]]]):
            assert bytes(one["back"])[::-1] == bytes(one["first"])
        del values, result, one
        await until(lambda: not root.snapshot().shared_values, "nothing is counted")
        gc.collect()
        await until(lambda: not segments(), "nothing is left")


async def test_what_a_job_raises_is_told_in_one_line_and_its_process_goes_on():
    async with tree(size=1) as root:
        pool = root["pool"]
        process = await pool.run(jobs.pid)
        for function, args, text in [
            (work, (Item(3, "raise"),), "work(Item(number=3, deed='raise', log='')) raised ValueError: item 3 is bad"),
            (jobs.leave, (3,), "leave(3) raised SystemExit: 3"),
            (jobs.interrupt, (), "interrupt() raised KeyboardInterrupt: enough"),
            (jobs.wordless, (), "wordless() raised tests.support.jobs.WordlessError: <no text: "),
            (jobs.anything, ("lock",), "anything('lock') raised actors.errors.UsageError: anything returned a lock, "),
            (jobs.wrong, (1,), "wrong(1) raised actors.errors.UsageError: wrong returned a str, its annotation "),
        ]:
            with pytest.raises(HandlerError) as raised:
                await pool.run(function, *args)
            assert str(raised.value).startswith(text)
            assert "\n" not in str(raised.value)
        with pytest.raises(HandlerError) as raised:
            await pool.run(jobs.chained)
        assert raised.value.type_name == "tests.support.jobs.LateError"
        assert 'raise KeyError("cause")' in raised.value.traceback_text
        assert "actors/job" not in raised.value.traceback_text
        assert process == await pool.run(jobs.pid)


@pytest.mark.parametrize("size", [1, 2])
async def test_a_job_that_ends_its_process_is_its_callers_error_and_counts_for_nothing(size):
    async with tree(size) as root:
        pool = root["pool"]
        for deed, cause in [("segfault", "SIGSEGV"), ("exit", "exit code 3"), ("memory", "SIGKILL")]:
            good = [asyncio.create_task(pool.run(work, Item(number))) for number in range(20)]
            with pytest.raises(ActorCrashed, match=f"deed='{deed}'.*ended its process: .*{cause}"):
                await pool.run(work, Item(3, deed))
            assert [report.number for report in await asyncio.gather(*good)] == list(range(20))
        assert root.snapshot().restarts == 0


async def test_a_job_that_has_returned_may_still_be_what_ended_its_process():
    """Its result does not come out; that is its caller's error, and counts for nothing."""
    async with tree(size=1) as root:
        with pytest.raises(ActorCrashed, match=r"close_everything\(\) was run, and its process ended before") as crash:
            await root["pool"].run(jobs.close_everything)
        assert (crash.value.started, crash.value.finished) == (True, True)
        assert await root["pool"].run(double, 2) == 4


async def test_an_import_puts_the_end_of_a_job_off_by_no_more_than_it_takes():
    """Its time is over while its module is imported: it is looked at again soon, not when an import's limit is over."""
    async with Supervisor(ChildSpec(Jobs, name="pool"), spares=0) as root, asyncio.timeout(IMPORT_LIMIT * 2 / 3):
        with pytest.raises(AskTimeout, match="ran longer than 0.05 s"):
            await root["pool"].run(late_jobs.hang, timeout=0.05)


async def test_what_the_import_of_its_module_raises_is_the_error_of_a_job():
    """Also what is no Exception; the process goes on."""
    async with Supervisor(ChildSpec(Jobs, name="pool"), intensity=Intensity(0), spares=0) as root:
        pool = root["pool"]
        process = await pool.run(jobs.pid)
        with pytest.raises(HandlerError, match=r"double\(1\) raised KeyboardInterrupt: enough"):
            await pool.run(unimportable.double, 1)
        assert process == await pool.run(jobs.pid)


async def test_the_times_of_jobs_that_wait_cost_one_timer(tmp_path, monkeypatch):
    log, loop, count = tmp_path / "log", asyncio.get_running_loop(), 200
    async with tree(size=1) as root:
        pool = root["pool"]
        running = asyncio.create_task(pool.run(jobs.hang, str(log)))
        await until(lambda: lines(log))
        timers = []
        monkeypatch.setattr(
            loop, "call_later", lambda delay, *what, call=loop.call_later: timers.append(delay) or call(delay, *what)
        )
        waiting = [asyncio.create_task(pool.run(double, number, timeout=DEADLINE)) for number in range(count)]
        await until(lambda: root.snapshot().children[0].mailbox > count)
        assert timers.count(DEADLINE) == 1
        running.cancel()
        assert [2 * number for number in range(count)] == await asyncio.gather(*waiting)


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_a_job_is_ended_while_its_process_is_about_to_be_replaced(tmp_path, how):
    """The successor waits for it."""
    log = tmp_path / "log"
    async with tree(size=1, shutdown=INFINITY) as root:
        running = asyncio.create_task(root["pool"].run(jobs.hang, str(log), timeout=1.0 if how == "timeout" else None))
        await until(lambda: lines(log))
        recycled = asyncio.create_task(root.recycle("pool"))
        consumers = root._tree.registry.get("/root/pool").consumers
        await until(lambda: consumers.leaving or running.done(), "it leaves")
        if how == "cancel":
            running.cancel()
        with pytest.raises(AskTimeout if how == "timeout" else asyncio.CancelledError):
            await running
        await asyncio.wait_for(recycled, DEADLINE)
        assert await root["pool"].run(double, 2) == 4
        assert root.snapshot().restarts == 0


async def test_a_job_that_takes_too_long_is_ended_with_its_process():
    async with tree() as root:
        pool = root["pool"]
        with pytest.raises(AskTimeout, match=r"deed='hang'.* ran longer than 0.1 s; its process was killed") as late:
            await pool.run(work, Item(1, "hang"), timeout=0.1)
        assert isinstance(late.value, TimeoutError)
        assert await pool.run(double, 2, timeout=DEADLINE) == 4
        assert root.snapshot().restarts == 0


async def test_reports_name_the_function_of_a_job(tmp_path):
    """What it is doing, what it hung in, and why it was killed."""
    log = tmp_path / "log"
    async with tree(size=1, handler_timeout=0.3) as root:
        watch, pool, letters = Watch(root), root["pool"], root.dead_letters()

        def ended(event):
            return isinstance(event, ChildExited)

        running = asyncio.create_task(pool.run(jobs.hang, str(log), timeout=DEADLINE))
        await until(lambda: lines(log))
        assert "job hang" == root.snapshot().children[0].handling
        running.cancel()
        report = (await watch.find(ended)).report
        assert "killed: its job hang was cancelled; killed by its supervisor" == str(report.reason)
        assert "job hang" == report.last_message
        with pytest.raises(AskTimeout):
            await pool.run(work, Item(1, "hang"), timeout=0.1)
        report = (await watch.find(ended)).report
        assert "killed: its job work ran longer than 0.1 s; killed by its supervisor" == str(report.reason)
        with pytest.raises(ActorCrashed, match=r"hung: job work over its limit"):
            await pool.run(work, Item(1, "hang"))
    assert ["job work"] == [letter.message_type async for letter in letters]


async def run_one(pool):
    await pool.run(double, 1)


async def map_some(pool):
    async for _ in pool.map(double, range(3)):
        pass


@pytest.mark.parametrize("run", [run_one, map_some])
async def test_a_report_names_the_job_that_was_run_last(run):
    """Of a process that runs none; before its first one it says nothing."""
    async with Supervisor(ChildSpec(Jobs, name="pool"), intensity=Intensity.unlimited()) as root:
        watch, said = Watch(root), []
        for work_first in (False, True):
            if work_first:
                await run(root["pool"])
            await until(lambda: root.which_children()[0].pid)
            os.kill(root.which_children()[0].pid, signal.SIGKILL)
            report = await watch.exited("pool")
            said.append((report.last_message, report.last_message_begun))
    assert [(None, None), ("job double", False)] == said


async def test_a_cancelled_job_is_ended_with_its_process(tmp_path):
    log = tmp_path / "log"
    async with tree() as root:
        pool = root["pool"]
        running = asyncio.create_task(pool.run(jobs.hang, str(log)))
        await until(lambda: lines(log))
        (process,) = map(int, lines(log))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await until(lambda: not Path(f"/proc/{process}").exists())
        assert await pool.run(double, 2) == 4
        assert root.snapshot().restarts == 0


async def test_a_cancelled_job_that_has_not_begun_never_runs_and_harms_no_other(tmp_path):
    log, other = tmp_path / "log", tmp_path / "other"
    async with tree(size=1) as root:
        pool = root["pool"]
        running = asyncio.create_task(pool.run(jobs.hang, str(log)))
        await until(lambda: lines(log))
        waiting = asyncio.create_task(pool.run(work, Item(1, log=str(other))))
        await asyncio.sleep(0)
        waiting.cancel()
        follows = asyncio.create_task(pool.run(double, 2))
        await asyncio.sleep(0)
        running.cancel()
        assert await follows == 4
        assert [] == lines(other)
        await asyncio.gather(running, waiting, return_exceptions=True)


async def test_an_idempotent_job_runs_again_within_its_bound(tmp_path):
    async with tree() as root:
        pool = root["pool"]
        assert await pool.run(jobs.die_times, str(tmp_path / "two"), 2, idempotent=True) == 3
        with pytest.raises(ActorCrashed, match="each time it was run; it is not run again"):
            await pool.run(jobs.die_times, str(tmp_path / "ever"), 99, idempotent=True)
        assert len(lines(tmp_path / "ever")) == 3
        with pytest.raises(ActorCrashed):
            await pool.run(jobs.die_times, str(tmp_path / "once"), 99)
        assert len(lines(tmp_path / "once")) == 1


async def test_handler_timeout_bounds_jobs_too():
    async with tree(handler_timeout=0.2) as root:
        with pytest.raises(ActorCrashed, match="hung"):
            await root["pool"].run(work, Item(1, "hang"))
        assert root.snapshot().restarts == 0


async def test_its_process_is_replaced_whatever_the_policy():
    async with tree(size=1, restart="temporary") as root:
        watch = Watch(root)
        with pytest.raises(ActorCrashed):
            await root["pool"].run(work, Item(1, "exit"))
        report = await watch.exited("pool")
        assert (Decision.RECYCLE, OVER_A_JOB) == (report.decision, report.because)
        assert await root["pool"].run(double, 2) == 4


async def test_a_process_that_dies_without_a_job_counts():
    """It is the pool that fails, not a job."""
    with pytest.raises(RestartIntensityExceeded):
        async with tree(size=1) as root:
            os.kill(await root["pool"].run(jobs.pid), signal.SIGKILL)
            await root.wait()


async def test_what_cannot_work_is_refused_before_anything_is_sent():
    async with Supervisor(ChildSpec(Jobs, name="pool"), ChildSpec(Puppet, name="echo")) as root:
        pool = root["pool"]
        for attempt, text in [
            (lambda: root["echo"].run(double, 1), "/root/echo is a Puppet, which runs no jobs"),
            (lambda: pool.run(len, "a"), "len is not a job"),
            (lambda: pool.run(0.1), "0.1 is not a job: pass the function and then its arguments"),
            (lambda: pool.tell(Echo("a")), "Echo cannot be sent to Jobs: it runs functions marked with @job, await"),
            (lambda: pool.run(double, "a"), "Expected `int`, got `str`"),
            (lambda: pool.run(double, 1, timeout=-1), "timeout of job double must be seconds"),
            (lambda: pool.run(double, 1, timeout=10**5000), "it is an int whose repr raised ValueError"),
            (
                lambda: pool.run(double, 1, idempotent="no"),
                "idempotent of job double must be True or False, it is 'no'",
            ),
        ]:
            with pytest.raises(UsageError, match=text):
                await attempt()
        for options, text in [
            ({"limit": 0}, "limit of a map"),
            ({"limit": 10**5000}, "limit of a map"),
            ({"ordered": "no"}, "ordered of a map must be True or False"),
            ({"return_exceptions": 1}, "return_exceptions of a map must be True or False"),
            ({"progress": 3}, "progress of a map must be True, False or a text"),
            ({"items": 5}, "5 is not an iterable of them"),
        ]:
            with pytest.raises(UsageError, match=text):
                pool.map(double, **{"items": [1], **options})
        for function, text in [(jobs.pid, "it takes 0 positional arguments"), (jobs.die_times, "lacks the argument")]:
            with pytest.raises(UsageError, match=text):
                pool.map(function, [1])
        assert 0 == root.snapshot().children[0].mailbox


async def test_map_is_in_order_or_as_they_come():
    slow_first = [Item(number, "slow" if number == 0 else "fine") for number in range(20)]
    async with tree() as root:
        pool = root["pool"]
        assert [r.number async for r in pool.map(work, slow_first)] == list(range(20))
        come = [r.number async for r in pool.map(work, slow_first, ordered=False)]
        assert sorted(come) == list(range(20))
        assert come[0] != 0
        assert [] == [r async for r in pool.map(work, [])]


async def test_map_takes_no_more_than_its_limit_of_items_without_end():
    taken = []

    def numbers():
        for number in count():
            taken.append(number)
            yield number

    async def later():
        for number in numbers():
            await asyncio.sleep(0)
            yield number

    async with tree() as root:
        for items in (numbers, later):
            taken.clear()
            got = []
            async with contextlib.aclosing(root["pool"].map(double, items(), limit=5)) as results:
                async for result in results:
                    got.append(result)
                    assert len(taken) <= len(got) + 5
                    if len(got) == 30:
                        break
            assert got == [2 * number for number in range(30)]


async def test_an_error_ends_a_map_or_is_one_of_its_results():
    items = [Item(0), Item(1, "raise"), Item(2), Item(3, "exit"), Item(4)]
    async with tree() as root:
        pool = root["pool"]
        got = []
        with pytest.raises(HandlerError, match="item 1 is bad") as raised:
            async for report in pool.map(work, items):
                got.append(report.number)
        assert got == [0]
        assert raised.value.item == items[1]
        outcomes = [outcome async for outcome in pool.map(work, items, return_exceptions=True)]
        assert [type(outcome) for outcome in outcomes] == [Report, HandlerError, Report, ActorCrashed, Report]
        assert [o.item for o in outcomes if isinstance(o, ActorsError)] == [items[1], items[3]]
        with pytest.raises(UsageError, match=r"double\('a'\): job double cannot be run: Expected `int`"):
            _ = [outcome async for outcome in pool.map(double, ["a"])]
        with pytest.raises(Rejected, match=r"reject\('b'\): not today"):
            _ = [outcome async for outcome in pool.map(jobs.reject, ["b"])]
        wrong = [outcome async for outcome in pool.map(double, [1, "a", 3], return_exceptions=True)]
        assert [wrong[0], type(wrong[1]), wrong[2]] == [2, UsageError, 6]


async def test_errors_behind_the_one_that_ended_a_map_are_not_reported_as_lost():
    problems = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    async with tree(size=1) as root:
        results = root["pool"].map(work, [Item(number, "raise") for number in range(20)])
        with pytest.raises(HandlerError):
            await anext(results)
        assert await root["pool"].run(double, 2) == 4
        del results
    gc.collect()
    assert [] == problems


async def test_leaving_a_map_ends_what_runs(tmp_path):
    log = tmp_path / "log"
    async with tree() as root:
        pool = root["pool"]
        async with contextlib.aclosing(pool.map(jobs.hang, [str(log)] * 9)) as results:
            waiting = asyncio.create_task(anext(results))
            await until(lambda: len(lines(log)) == 2)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await until(lambda: not any(Path(f"/proc/{process}").exists() for process in lines(log)))
        assert await pool.run(double, 2) == 4
        assert len(lines(log)) == 2


async def test_errors_of_the_items_come_out_after_the_results_before():
    def items():
        yield 1
        yield 2
        raise LookupError("no more")

    got = []
    async with tree() as root:
        with pytest.raises(LookupError, match="no more"):
            async for result in root["pool"].map(double, items(), return_exceptions=True):
                got.append(result)
    assert got == [2, 4]


async def test_items_that_cannot_be_sent_are_errors_between_the_results_of_the_others():
    async with tree() as root:
        items = [1, object(), 2, 2**80, "three", 3, 10**5000, 4]
        outcomes = [one async for one in root["pool"].map(double, items, return_exceptions=True, limit=8)]
        assert [2, 4, 6, 8] == [one for one in outcomes if not isinstance(one, ActorsError)]
        assert all(isinstance(outcomes[at], UsageError) and outcomes[at].item is items[at] for at in (1, 3, 4, 6))


async def test_leaving_a_map_whose_items_suppress_their_cancellation():
    async def stubborn():
        for number in count():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.001)
            yield number

    async with tree() as root, asyncio.timeout(DEADLINE):
        items = stubborn()
        async with contextlib.aclosing(items), contextlib.aclosing(root["pool"].map(double, items)) as results:
            assert [await anext(results), await anext(results)] == [0, 2]


async def test_a_pool_that_is_down_for_good_ends_its_maps():
    async with tree() as root:
        pool = root["pool"]
        await root.terminate_child("pool")
        with pytest.raises(ActorStopped):
            async for _ in pool.map(double, count(), return_exceptions=True):
                pass
        with pytest.raises(ActorStopped, match=r"double\(\d+\) was not run"):
            await pool.run(double, 1)


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_drain_gives_a_map_the_results_of_what_was_sent(tmp_path, ordered):
    """In whatever order they come."""
    log, got = tmp_path / "log", []

    async def consume(pool):
        items = (Item(number, "slow", str(log)) for number in count())
        async for report in pool.map(work, items, ordered=ordered, limit=8):
            got.append(report.number)

    async with tree() as root:
        consuming = asyncio.create_task(consume(root["pool"]))
        await until(lambda: len(lines(log)) > 2)
        assert await root.drain("pool", timeout=DEADLINE)
        with pytest.raises(ActorStopped, match="drains"):
            await consuming
    assert sorted(got) == sorted(map(int, lines(log)))


async def test_a_bar_shows_how_far_a_map_is(capsys):
    pytest.importorskip("rich")
    async with tree() as root:
        items = [Item(number, "raise" if number == 3 else "fine") for number in range(9)]
        results = root["pool"].map(work, items, return_exceptions=True, progress="parsing")
        assert len([result async for result in results]) == 9
    shown = capsys.readouterr().err
    assert "parsing" in shown
    assert "9/9" in shown
    assert "1 failed" in shown


async def test_the_text_of_a_bar_is_shown_as_it_is(capsys):
    """Brackets are no markup, which could be wrong."""
    async with tree(size=1) as root:
        assert [2] == [result async for result in root["pool"].map(double, [1], progress="[/src] [bold]*.py")]
    assert "[/src] [bold]*.py" in capsys.readouterr().err


class GoneStderr:
    """The reader of a daemon's stderr has gone."""

    def write(self, text):
        raise BrokenPipeError

    flush = isatty = lambda self: self.write("")


@pytest.mark.parametrize("stderr", [None, GoneStderr()], ids=["none", "gone"])
async def test_a_bar_that_cannot_be_shown_ends_no_map(monkeypatch, capfd, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    async with tree(size=1) as root:
        assert [2, 4] == [result async for result in root["pool"].map(double, [1, 2], progress=True)]
    os.write(1, b"stdout is open")
    assert capfd.readouterr().out.endswith("stdout is open")


def test_a_map_that_is_open_at_the_end_of_its_loop_says_nothing():
    """All async generators that are left are closed, all at once."""
    said, left = [], []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        async with tree(size=1) as root:
            left.append(root["pool"].map(double, count()))
            assert 0 == await anext(left[0])

    asyncio.run(main())
    assert [] == said


async def test_a_bar_without_rich_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    async with tree() as root:
        with pytest.raises(UsageError, match=r"pip install 'actor-supervisor\[rich\]'"):
            root["pool"].map(double, [1], progress=True)


async def test_a_type_with_a_codec_travels():
    async with Supervisor(ChildSpec(jobs.FractionJobs, name="pool")) as root:
        assert await root["pool"].run(jobs.halved, Fraction(1, 3)) == Fraction(1, 6)
