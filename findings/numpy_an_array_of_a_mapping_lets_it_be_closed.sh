#!/usr/bin/env bash
# numpy 2.4.6: np.ndarray(buffer=memoryview(mapping)) keeps the mapping referenced, but not open.
#
# Expected: a view of a mmap holds an export of its buffer, so that closing the mapping raises BufferError: "cannot close
#   exported pointers exist". So does memoryview(mapping), and so does np.frombuffer.
# Seen: np.ndarray(shape, dtype, buffer=memoryview(mapping)) asks for the buffer, notes the address and gives the buffer back.
#   When the memoryview is gone or released, mapping.close() succeeds while the array lives. Whoever reads the array then reads
#   memory that is not mapped any more: a segmentation fault. The script shows that the close succeeds, and reads nothing.
# Here: Shared.array() uses np.frombuffer(...).reshape(...), so that a value cannot be sealed under a writable array.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
cat > "$dir/closed.py" <<'PY'
import mmap

import numpy as np


def closes(make):
    mapping = mmap.mmap(-1, 4096)
    view = memoryview(mapping)
    array = make(view)
    try:
        view.release()
        mapping.close()
    except BufferError:
        return array is None
    return array is not None


print(closes(lambda view: np.frombuffer(view, "u1")), closes(lambda view: np.ndarray((4096,), "u1", buffer=view)))
PY
read -r frombuffer ndarray < <("$dir/venv/bin/python" "$dir/closed.py")
echo "numpy 2.4.6: the mapping can be closed under an array of np.frombuffer: $frombuffer, of np.ndarray: $ndarray"
[ "$frombuffer" = False ] && [ "$ndarray" = True ]
