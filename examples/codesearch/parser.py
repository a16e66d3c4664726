"""The parser: CPU work, no state. Several of them share one mailbox."""

from __future__ import annotations

import io
import os
import re
import token
import tokenize
from pathlib import Path

from actors import Actor, handles
from examples.codesearch.messages import Page, Parse

LIMIT = 1024 * 1024  # bytes of one file: what a parser has in hand is done within about a second
PROSE = {getattr(token, name) for name in ("COMMENT", "STRING", "FSTRING_MIDDLE") if hasattr(token, name)}
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # between the words of camelCase
QUOTES = re.compile(r"^#+:?|^[a-zA-Z]{0,2}(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$")


class Parser(Actor):
    """Reads files below `root`."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def on_start(self) -> None:
        os.nice(10)  # a process that is being started goes first

    @handles
    def parse(self, msg: Parse) -> Page:
        text = read(self.root / msg.path)
        names, prose = tokens(text)
        return Page(
            msg.path,
            lines=len(text.splitlines()),
            names=" ".join(HUMP.sub(" ", name) for name in names),
            prose=" ".join(" ".join(prose).split()),
        )


def read(path: Path) -> str:
    """The text of a file, as well as it can be read; every byte is a letter in latin-1."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT)
    except OSError:  # it is gone or closed to us: it has no words
        return ""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding, "replace")
    except (SyntaxError, LookupError, UnicodeError):
        return data.decode("latin-1")


def tokens(text: str) -> tuple[list[str], list[str]]:
    """The identifiers, and the comments and strings, of a source text."""
    names: list[str] = []
    prose: list[str] = []
    try:
        for found in tokenize.generate_tokens(io.StringIO(text).readline):
            if found.type == token.NAME:
                names.append(found.string)
            elif found.type in PROSE:
                prose.append(QUOTES.sub("", found.string))
    except (tokenize.TokenError, SyntaxError):  # not the Python of this interpreter: words it has all the same
        prose.append(text)
    return names, prose
