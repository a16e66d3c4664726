"""The code search indexes every file once while its actors are killed, and serves what it indexed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.codesearch import daemon
from examples.codesearch.chronicle import Chronicle
from examples.codesearch.crawl import Crawl, walk
from tests.support.descent import children_of
from tests.support.machines import LocalCluster
from tests.support.waiting import DEADLINE, alive, until_now

ROOT = Path(__file__).parent.parent
FILES = 30

pytestmark = pytest.mark.processes


@pytest.fixture
def tree(tmp_path):
    """Thirty files that take a while, three of them hard to read, and what is to be left alone."""
    root = tmp_path / "tree"
    for number in range(FILES):
        path = root / f"package{number % 5}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        body = "".join(f"def camelCase{n}(argument):  # remark {n}\n    return argument + {n}\n" for n in range(250))
        path.write_text(f'"""Module number {number}."""\n{body}')
    (root / "package0" / "module0.py").write_bytes(b'# -*- coding: utf-8 -*-\n"""A zeppelin \xff\xfe."""\n')
    (root / "package1" / "module1.py").write_bytes(b"# coding: hex\nprint 'an old zeppelin\n\x00")
    (root / "package2" / "module2.py").write_text('def broken(:\n  """The zeppelin never ends\n')
    for skipped in ("site-packages/other.py", "__pycache__/cached.py", "notes.txt"):
        (root / skipped).parent.mkdir(exist_ok=True)
        (root / skipped).write_text("zeppelin = 1\n")
    return root


def command(*options):
    return [sys.executable, "-W", "error", "-m", "examples.codesearch", *map(str, options)]


def setting():
    return {"cwd": ROOT, "env": {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}, "text": True}


def run(*options):
    return subprocess.run(command(*options), **setting(), timeout=110, capture_output=True, check=False)


def figure(name, text):
    (found,) = re.findall(rf"^{name} +(\d+)", text, re.MULTILINE)
    return int(found)


def test_every_file_once_under_fire(tree, tmp_path):
    """Killed thirty times a second, it loses nothing and counts nothing twice."""
    db = tmp_path / "kept.db"
    done = run("--path", tree, "--db", db, "--chaos", "0.03")
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert (FILES, FILES) == (figure("files found", done.stdout), figure("files indexed", done.stdout))
    assert (0, 0) == (figure("lost", done.stdout), figure("counted twice", done.stdout))
    kills = figure("kills survived", done.stdout)
    assert kills >= 1
    assert kills == len(re.findall(r"^kill -9 \d+: .*; life \d+ after \d+ ms$", done.stdout, re.MULTILINE))
    assert figure("redelivered", done.stdout) <= kills
    assert db.exists()


def test_in_peace(tree):
    """Without chaos no process is killed; a second run over the same index file counts nothing twice."""
    db = tree.parent / "again.db"
    for _ in range(2):
        done = run("--path", tree, "--db", db, "--no-chaos")
        assert (0, "") == (done.returncode, done.stderr), done.stdout
        assert (FILES, 0) == (figure("files indexed", done.stdout), figure("counted twice", done.stdout))
        assert 0 == figure("kills survived", done.stdout)


async def test_over_machines(tree, tmp_path):
    """With a cluster the parsers are on its machines, the index is at home, and chaos kills what is at home."""
    cluster = LocalCluster(("m1", "m2"), lease=60.0)
    chronicle = Chronicle(lambda line: None)
    supervisor = daemon.tree(tree, tmp_path / "index.db", cluster)
    keeping = asyncio.create_task(chronicle.keep(supervisor.events()))
    async with supervisor as root:
        assert [None, "m1", "m2", "m1"] == [child.node for child in root.snapshot().children]
        await chronicle.everybody_back()
        assert ["/root/index"] == chronicle.here()
        outcome = await Crawl(root["parser"], root["index"], lambda: None).run(walk(tree))
        assert (FILES, True, {}) == (outcome.indexed, outcome.complete, outcome.errors)
    await keeping


@contextmanager
def served(*options):
    """The daemon while it serves: its process, its address, the pids of its actors."""
    process = subprocess.Popen(
        command("--serve", "--port", "0", *options), **setting(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        for line in process.stdout:
            if found := re.match(r"serving (http://\S+)/search", line):
                yield process, found[1]
                return
        pytest.fail(f"it ended before it served: {process.stderr.read()}")
    finally:
        process.kill()
        process.communicate()


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are counted in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_serve(tree, number):
    """It answers queries, says what is wrong with one, and a signal ends it with nothing left running."""
    with served("--path", tree, "--chaos", "0.2") as (process, url):
        status, body = get(f"{url}/search?q=zeppelin")
        assert 200 == status
        hits = json.loads(body)
        assert {"package0/module0.py", "package1/module1.py", "package2/module2.py"} == {hit["path"] for hit in hits}
        assert "[zeppelin]" in hits[0]["snippet"]
        assert sorted(hit["rank"] for hit in hits) == [hit["rank"] for hit in hits]
        assert FILES - 3 >= len(json.loads(get(f"{url}/search?q=camel+case7")[1])) > 0
        assert (200, "[]") == get(f"{url}/search?q=%22AND+NEAR(")
        assert 400 == get(f"{url}/search")[0]
        assert "<form" in get(f"{url}/")[1]
        family = set(children_of(process.pid))
        assert len(family) >= 4
        process.send_signal(number)
        _, stderr = process.communicate(timeout=DEADLINE)
        assert (0, "") == (process.returncode, stderr)
        until_now(lambda: not any(map(alive, family)), f"the end of {family}")


def test_what_cannot_work_is_said_in_one_line(tree, tmp_path):
    """No traceback for a path, a port or an index file that cannot be used."""
    empty = tmp_path / "empty"
    empty.mkdir()
    no_index = tmp_path / "no_index.db"
    no_index.write_text("this is a text, and has been one for longer than a header is\n" * 20)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for options, words in (
            (["--path", tmp_path / "nowhere"], "nowhere is not a directory"),
            (["--path", empty], "there is no Python file below"),
            (["--path", tree, "--serve", "--port", port], "address already in use"),
            (["--path", tree, "--db", no_index], "file is not a database"),
        ):
            done = run(*options)
            assert 1 == done.returncode
            (line,) = done.stderr.splitlines()
            assert line.startswith("codesearch: ")
            assert words in line
