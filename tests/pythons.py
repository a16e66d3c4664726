"""Pythons: the whole suite on each CPython that is there, and the table of what was run where.

`python -m tests.pythons python3.12 python3.14` makes an environment for each, runs the suite in it, and writes one row
of docs/how-to/where-it-runs.md. Without arguments it takes all of 3.11 to 3.15 that are on the PATH, free-threaded
ones (3.14t) too. Rows of other versions stay. ENVIRONMENTS names the folder of the environments, build/pythons
otherwise; what failed stands there in VERSION.xml.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.support import figures
from tests.support.figures import PLACES, ROOT

BUILD = Path(os.environ.get("ENVIRONMENTS", ROOT / "build" / "pythons"))
KNOWN = (*(f"python3.{minor}" for minor in range(11, 16)), "python3.14t", "python3.15t")
VERSION = "import platform, sys; print(platform.python_version() + sys.abiflags)"  # 3.14.7t where it is free-threaded
HEAD = ("CPython", "passed", "skipped", "failed")
TREE = ("actors", "supervisor", "benchmarks", "examples", "tests")  # compiled: else each process compiles its imports
REPORT = ("-o", "junit_family=xunit1")  # with the properties that tests record


def main(pythons: list[str]) -> int:
    """Run the suite on each; returns 1 where anything failed."""
    failed = False
    for python in pythons or [python for python in KNOWN if shutil.which(python)]:
        row = run(python)
        write(row)
        failed = failed or row[-1] != "0"
    return int(failed)


def run(python: str) -> tuple[str, str, str, str]:
    """Run the suite on one Python: the row that it is in the table."""
    version = output(python, "-c", VERSION)
    own = BUILD / version / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", str(BUILD / version)], check=True)
    pip = [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", f"{ROOT}[demo,test]"], check=True)
    subprocess.run([str(own), "-m", "compileall", "-q", *TREE], cwd=ROOT, check=False)
    found = BUILD / f"{version}.xml"
    suite = ["-n", os.environ.get("TESTS", "3"), "--dist", "worksteal"]
    suite += ["--ignore", "tests/cluster", "--ignore", "tests/alone"]
    subprocess.run(
        [str(own), "-m", "pytest", "-q", *suite, *REPORT, "--junitxml", str(found)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    return version, *counts(found)


def output(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def counts(found: Path) -> tuple[str, str, str]:
    """How many tests passed, were skipped, and failed."""
    suites = ET.parse(found).getroot().iter("testsuite")
    tests = failed = skipped = 0
    for suite in suites:
        tests += int(suite.attrib["tests"])
        failed += int(suite.attrib["failures"]) + int(suite.attrib["errors"])
        skipped += int(suite.attrib["skipped"])
    return f"{tests - failed - skipped:,}", str(skipped), str(failed)


def write(row: tuple[str, ...]) -> None:
    """Put a row into the table, in place of that of the same version."""
    rows = {of_minor(cells[0]): cells for cells in figures.written("pythons", PLACES)[2:]}
    rows[of_minor(row[0])] = list(row)
    lines = [HEAD, ("---",) * len(HEAD), *(rows[key] for key in sorted(rows))]
    figures.write({"pythons": "\n".join(f"| {' | '.join(cells)} |" for cells in lines)}, PLACES)


def of_minor(version: str) -> tuple[int, int, bool]:
    """3.14 of 3.14.2, as numbers, and whether it is free-threaded."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor), version.endswith("t")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
