#!/usr/bin/env bash
# apsw 3.54.1.0 (SQLite 3.54.1), also Python's sqlite3 with SQLite 3.40.1: a COMMIT that raised is there after a crash.
#
# Expected: in WAL mode with synchronous=FULL, a COMMIT that fails with "disk I/O error" and is rolled back has stored
#   nothing: the row is not there, now or later. So the program may refuse the order, or take it again.
# Seen: when only the sync fails (EIO of fsync or fdatasync, once), the frames of the transaction, commit mark included, are in the
#   log. The process that was refused does not see the row, and its next commit overwrites it. If that process dies
#   first, the next one that opens the file recovers the log, and the row is there.
# Here: docs/reference/store.md says so. The daemon keeps the connection and goes on with it, so that the next commit overwrites what
#   was refused; a sender that repeats with the same key takes effect once in either case.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "apsw==${APSW:-3.54.1.0}"
cat > "$dir/disk.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int refused(void) {
    if (access(getenv("FAIL"), F_OK)) return 0;
    errno = EIO;
    return 1;
}

int fsync(int fd) { return refused() ? -1 : ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
int fdatasync(int fd) { return refused() ? -1 : ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
C
gcc -shared -fPIC -o "$dir/disk.so" "$dir/disk.c" -ldl
cat > "$dir/writer.py" <<'PY'
import os
import signal

import apsw

shop = apsw.Connection("shop.db")
shop.execute("PRAGMA journal_mode = WAL")
shop.execute("PRAGMA synchronous = FULL")
shop.execute("CREATE TABLE orders (name TEXT)")
shop.execute("INSERT INTO orders VALUES ('accepted')")
open(os.environ["FAIL"], "w").close()  # the disk refuses to sync from now on
shop.execute("BEGIN")
shop.execute("INSERT INTO orders VALUES ('refused')")
try:
    shop.execute("COMMIT")
except apsw.IOError as error:
    print("COMMIT:", error)
    if shop.in_transaction:
        shop.execute("ROLLBACK")
print("its writer sees:", [name for (name,) in shop.execute("SELECT name FROM orders")], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
PY
cat > "$dir/reader.py" <<'PY'
import apsw

orders = [name for (name,) in apsw.Connection("shop.db").execute("SELECT name FROM orders")]
print(f"SQLite {apsw.sqlite_lib_version()}, after the kill:", orders)
raise SystemExit(orders != ["accepted", "refused"])
PY
cd "$dir"
FAIL="$dir/fail" LD_PRELOAD="$dir/disk.so" "$dir/venv/bin/python" writer.py || true
"$dir/venv/bin/python" reader.py
