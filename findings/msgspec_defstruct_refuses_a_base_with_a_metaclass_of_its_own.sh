#!/usr/bin/env bash
# msgspec 0.22.0: `defstruct` refuses a base whose metaclass derives from that of Struct; the class statement takes it.
#
# Expected: `defstruct(name, fields, bases=(Base,))` makes the class that `class Name(Base): ...` makes.
# Seen: where `Base` has a metaclass of its own, derived from `type(msgspec.Struct)`, defstruct raises "TypeError: Struct
#   types cannot define __slots__", though there are none in the call. The class statement and `types.new_class` work.
# Here: from CPython 3.15 on, `Message` has such a metaclass, for the sake of lazy imports; docs/how-to/new-pythons.md
#   names `types.new_class` for message classes that are made at run time.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "msgspec==${MSGSPEC:-0.22.0}"
"$dir/venv/bin/python" - <<'PY'
import types

import msgspec


class Meta(type(msgspec.Struct)):
    pass


class Base(msgspec.Struct, metaclass=Meta):
    pass


class Order(Base):
    number: int


made = types.new_class("Order", (Base,), {}, lambda body: body.update(__annotations__={"number": int}))
print("class statement, new_class:", msgspec.json.encode(Order(1)), msgspec.json.encode(made(1)))
try:
    msgspec.defstruct("Order", [("number", int)], bases=(Base,))
except TypeError as error:
    print("defstruct: TypeError:", error)
    raise SystemExit("__slots__" not in str(error))
raise SystemExit("defstruct takes it")
PY
