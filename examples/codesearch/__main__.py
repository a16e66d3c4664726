"""Full-text search over Python source, built by actors that are killed all the time.

python -m examples.codesearch            index the standard library, show what came of it
python -m examples.codesearch --serve    the same, then answer GET /search?q=
python -m examples.codesearch --cluster auto    the same, the parsers spread over a Ray cluster
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import sysconfig
from pathlib import Path

from actors import ActorsError
from examples.codesearch.crawl import walk
from examples.codesearch.daemon import Options, run
from examples.codesearch.terminal import Terminal
from supervisor import SupervisorError


def options() -> Options:
    parser = argparse.ArgumentParser(
        prog="codesearch", description="Index Python source with actors that are killed all the time."
    )
    stdlib = Path(sysconfig.get_path("stdlib"))
    parser.add_argument("--path", type=Path, default=stdlib, help="the tree to index (the standard library)")
    parser.add_argument("--db", type=Path, help="the index file (one that is removed at the end)")
    parser.add_argument("--chaos", type=float, default=0.5, metavar="SECONDS", help="time between two kills (0.5)")
    parser.add_argument("--no-chaos", dest="chaos", action="store_const", const=None, help="kill no process")
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="spread the parsers over this Ray cluster: auto, local or HOST:PORT; chaos kills what runs here",
    )
    parser.add_argument("--serve", action="store_true", help="answer GET /search?q= when the index is complete")
    parser.add_argument("--port", type=int, default=8080, help="where to serve; 0 is any free port (8080)")
    given = parser.parse_args()
    if given.chaos is not None and given.chaos <= 0:
        parser.error("--chaos takes a time above zero; --no-chaos kills no process")
    return Options(given.path, given.db, given.chaos, given.port if given.serve else None, given.cluster)


def main() -> int:
    wanted = options()
    if not wanted.path.is_dir():
        sys.exit(f"codesearch: {wanted.path} is not a directory")
    files = walk(wanted.path)
    if not files:
        sys.exit(f"codesearch: there is no Python file below {wanted.path}")
    terminal = Terminal()
    terminal.use_for_logs()
    terminal.say(f"{len(files)} Python files below {wanted.path}")
    try:
        return 0 if asyncio.run(run(wanted, files, terminal)) else 1
    except KeyboardInterrupt:
        return 130  # as a shell says it for Ctrl-C
    except (ActorsError, SupervisorError, OSError) as error:
        sys.exit(f"codesearch: {error}")


if __name__ == "__main__":
    sys.exit(main())
