#!/usr/bin/env bash
# loky 3.7.0 (joblib's default backend): multiprocessing's spawn does not work inside of its worker processes.
#
# Expected: a function in a worker starts a process by multiprocessing.get_context("spawn"), as it can in a worker of
#   concurrent.futures.ProcessPoolExecutor.
# Seen: the worker's start method is "loky". multiprocessing tells it to the new process, which has not imported loky:
#   it ends with exit code 1, "ValueError: cannot find context for 'loky'", before it runs anything.
# Here: the processes of actors are told "spawn" where the method is none of multiprocessing's own.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check loky==3.7.0
cat > "$dir/work.py" <<'PY'
import multiprocessing


def start() -> tuple[str, int | None]:
    process = multiprocessing.get_context("spawn").Process(target=print, args=("ran",))
    process.start()
    process.join()
    return multiprocessing.get_start_method(), process.exitcode
PY
cat > "$dir/main.py" <<'PY'
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from loky import get_reusable_executor

import work

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        print("concurrent.futures:", *pool.submit(work.start).result())
    print("loky:", *get_reusable_executor(max_workers=1).submit(work.start).result())
PY
seen=$(cd "$dir" && timeout 100 "$dir/venv/bin/python" main.py 2> errors)
echo "start method and exit code of a process in a worker: $(tr '\n' ';' <<< "$seen")"
grep -q "cannot find context for 'loky'" "$dir/errors"
grep -q "^concurrent.futures: .* 0$" <<< "$seen" && grep -q "^loky: loky 1$" <<< "$seen"
