#!/usr/bin/env bash
# gunicorn 27.0.1: a second gunicorn of the same user takes the control socket of the first, which then cannot be reached.
#
# Expected: two masters on two ports, both with default settings, can both be asked with `gunicornc`; or the second one
#   says that the path is taken.
# Seen: both say "Control socket listening at ~/.gunicorn/gunicorn.ctl". `gunicornc` reaches the second alone. When the
#   second ends it removes the file: `gunicornc` fails, though the first still serves. `--control-socket` names another path.
# Here: with `control="auto"` each daemon has a socket that is named after its process, `actorctl ps` lists all of them, and
#   a verb that could mean several daemons says so (tests/supervisor/control).
set -euo pipefail
dir=$(mktemp -d); first=""; second=""
trap 'kill $first $second 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "gunicorn==${GUNICORN:-27.0.1}"
cat > "$dir/app.py" <<'PY'
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
PY
export HOME="$dir"
cd "$dir"

free_port() { "$dir/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# begin LOG PORT: a master on that port; waits until it has its control socket
begin() {
  "$dir/venv/bin/gunicorn" --bind "127.0.0.1:$2" app:app > "$1" 2>&1 & last=$!
  for _ in $(seq 300); do grep -q "Control socket listening" "$1" && return; sleep 0.1; done
  cat "$1"; exit 1
}
worker_of() { sed -n 's/.*Booting worker with pid: //p' "$1"; }

port=$(free_port)
begin first.log "$port"; first=$last
begin second.log "$(free_port)"; second=$last
grep -h "Control socket" first.log second.log
"$dir/venv/bin/gunicornc" -c "show workers" > both.txt
echo "gunicornc shows the worker of the second: $(grep -cw "$(worker_of second.log)" both.txt || true), of the first: $(grep -cw "$(worker_of first.log)" both.txt || true)"
kill "$second"; wait "$second" || true; second=""
code=0; "$dir/venv/bin/gunicornc" -c "show workers" > after.txt 2>&1 || code=$?
echo "after the end of the second: gunicornc ends with $code: $(sed "s#$dir#~#" after.txt)"
served=$("$dir/venv/bin/python" -c "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:$port').read().decode())")
echo "the first: $served"
grep -qw "$(worker_of second.log)" both.txt
! grep -qw "$(worker_of first.log)" both.txt
test "$code" != 0
test "$served" = served
