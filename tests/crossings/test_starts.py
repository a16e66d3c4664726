"""Starts: ways to start a program that bring packages of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipapp

import pytest

from tests.support.crossings import MAIN, ROOT, environment, run, tool, write

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

NOTEBOOK = """
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

def execute(*cells):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(book, timeout=80, kernel_name="python3").execute()
    for cell in book.cells:
        for output in cell.outputs:
            print(output.get("text", ""))

execute("import shop", "await shop.scenario()")
enter = "root = await shop.tree().__aenter__()"
execute("import shop", enter, "print('LEFT OPEN', await root['sync'].ask(shop.Pid()))")
try:
    execute(
        "from actors import Actor\\nfrom supervisor import ChildSpec",
        "class Mine(Actor):\\n    pass",
        "ChildSpec(Mine)",
    )
except CellExecutionError as error:
    print("REFUSED", error.evalue)
"""


@pytest.mark.crossing("nbclient", "ipykernel")
def test_a_notebook(tmp_path):
    """Classes of modules work, also in a tree that is left open; a class of a cell is refused."""
    write(tmp_path, book=NOTEBOOK)
    printed = run(tmp_path, sys.executable, "book.py", PYTHONPATH=str(tmp_path), PYDEVD_DISABLE_FILE_VALIDATION="1")
    assert "SCENARIO WORKED" in printed
    assert "LEFT OPEN" in printed
    assert "put it into a file" in printed.partition("REFUSED")[2]


@pytest.mark.crossing("uv")
def test_uv_run(tmp_path):
    """A script with its requirements on top."""
    head = f'# /// script\n# requires-python = ">=3.11"\n# dependencies = ["actor-supervisor @ file://{ROOT}"]\n# ///\n'
    write(tmp_path, main=head + MAIN)
    env = {
        "TMPDIR": str(tmp_path),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_PYTHON": sys.executable,
        "UV_LINK_MODE": "copy",
    }
    assert "SCENARIO WORKED" in run(tmp_path, tool("uv"), "run", "--quiet", "main.py", **env)


@pytest.mark.crossing("shiv")
def test_an_archive_with_everything_in_it(tmp_path):
    """What shiv makes unpacks itself at its first start."""
    project = tmp_path / "project"
    project.mkdir()
    write(project, main=MAIN + "\n\ndef start():\n    asyncio.run(shop.scenario())\n")
    (project / "pyproject.toml").write_text(
        '[project]\nname = "the-shop"\nversion = "1"\n[build-system]\nrequires = ["setuptools"]\n'
        'build-backend = "setuptools.build_meta"\n[tool.setuptools]\npy-modules = ["shop", "main"]\n'
    )
    run(tmp_path, tool("shiv"), "-c", "", "-e", "main:start", "-o", "shop.pyz", "-q", str(project), str(ROOT))
    done = subprocess.run(
        [sys.executable, "shop.pyz"],
        cwd=tmp_path,
        env={**environment(SHIV_ROOT=str(tmp_path / "shiv")), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "SCENARIO WORKED" in done.stdout, done.stderr


def test_a_zipapp_beside_the_installed_library(tmp_path):
    """Actors come from modules inside of the archive."""
    source = tmp_path / "source"
    source.mkdir()
    write(source, __main__=MAIN)
    zipapp.create_archive(source, tmp_path / "app.pyz")
    shutil.rmtree(source)
    assert "SCENARIO WORKED" in run(tmp_path, sys.executable, "app.pyz")


USERS_TESTS = """
import pytest
import shop
from supervisor import Supervisor, ChildSpec

@pytest.mark.parametrize("number", range(4))
async def test_mine(number):
    async with shop.tree() as root:
        assert await root["sync"].ask(shop.Pid())
        assert await root["async"].ask(shop.Pid())
"""


@pytest.mark.crossing("pytest-xdist")
def test_tests_side_by_side(tmp_path):
    """A user's tests run in several processes of pytest."""
    write(tmp_path, test_mine=USERS_TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    plugin = {} if "actors.pytest_plugin" in _plugins() else {"PYTEST_PLUGINS": "actors.pytest_plugin"}
    assert "4 passed" in run(tmp_path, sys.executable, "-m", "pytest", "-q", "-n", "2", "--basetemp", "work", **plugin)


def _plugins() -> set[str]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - for one test

    return {entry.value for entry in entry_points(group="pytest11")}
