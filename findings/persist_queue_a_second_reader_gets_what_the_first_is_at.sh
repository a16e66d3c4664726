#!/usr/bin/env bash
# persist-queue 1.1.0: opening an acknowledging queue a second time gives the second reader what the first is working on.
#
# Expected: an item that `get` has returned and nobody has acknowledged belongs to the reader that has it. A second worker on
#   the same queue gets the next item.
# Seen: by default (`auto_resume=True`) the constructor makes every item ready again that is not acknowledged, also those that
#   another process has at this moment. So each worker that starts, or is started again after a crash, takes over the
#   items of all the others, and both do them. With `auto_resume=False` it does not, and what a killed worker had stays
#   taken until somebody calls `resume_unack_tasks`, which takes from the living, too.
# Here: one daemon owns a store, under a lock that dies with it; a second one is refused. Within it the supervisor knows which
#   process has which message, and gives it on only when that process is dead.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check persist-queue==1.1.0
cat > "$dir/worker.py" <<'PY'
import sys

import persistqueue

folder, name, resume = sys.argv[1:]
queue = persistqueue.SQLiteAckQueue(folder, auto_resume=resume == "resume")
if name == "first":
    queue.put("order 1")
    queue.put("order 2")
print(name, "has", queue.get(block=False), flush=True)
sys.stdin.readline()  # it works on it until it is told to go on
PY
both() { # two workers at once on one queue; the first is at work until the second has its item
  mkdir "$dir/$1"
  mkfifo "$dir/$1/go"
  "$dir/venv/bin/python" "$dir/worker.py" "$dir/$1/queue" first "$1" < "$dir/$1/go" > "$dir/$1/first" & first=$!
  exec 3> "$dir/$1/go"
  until grep -q has "$dir/$1/first"; do kill -0 "$first"; sleep 0.05; done
  "$dir/venv/bin/python" "$dir/worker.py" "$dir/$1/queue" second "$1" < /dev/null > "$dir/$1/second"
  exec 3>&-
  wait "$first"
  cat "$dir/$1/first" "$dir/$1/second"
}
both resume
grep -q "order 1" "$dir/resume/first" && grep -q "order 1" "$dir/resume/second"
both leave
grep -q "order 1" "$dir/leave/first" && grep -q "order 2" "$dir/leave/second"
