"""The index: one actor, one SQLite file, one writer."""

from __future__ import annotations

import re
import sqlite3
from contextlib import ExitStack, closing

from actors import Actor, ExitReason, Rejected, handles
from examples.codesearch.messages import Census, Clear, Hit, Page, Search, Store

SCHEMA = """
    CREATE TABLE IF NOT EXISTS codesearch_files (id INTEGER PRIMARY KEY, path TEXT UNIQUE, lines INTEGER);
    CREATE VIRTUAL TABLE IF NOT EXISTS codesearch_pages USING fts5(path, names, prose, tokenize = 'porter unicode61');
"""
SEARCH = """
    SELECT path, snippet(codesearch_pages, 2, '[', ']', ' ... ', 12), bm25(codesearch_pages, 8, 1, 2) AS rank
    FROM codesearch_pages WHERE codesearch_pages MATCH ? ORDER BY rank LIMIT ?
"""


class Index(Actor):
    """A full-text index in the file `path`.

    The state that matters is in the file, so a new life goes on where the last one was killed. A kill in the middle
    of a transaction undoes it, and the message comes again; a kill right after the commit brings the message again,
    too, and the page takes the place of itself.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def on_start(self) -> None:
        with ExitStack() as undo:
            self.db = undo.enter_context(closing(sqlite3.connect(self.path)))
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = OFF")  # what is written outlives the process; the power may not fail
            self.db.executescript(SCHEMA)
            undo.pop_all()  # from here on it stays open

    def on_stop(self, reason: ExitReason) -> None:  # noqa: ARG002 - it closes in the same way for every reason
        self.db.close()

    @handles
    def store(self, msg: Store) -> None:
        with self.db:
            row = self._row(msg.page)
            self.db.execute(
                "INSERT OR REPLACE INTO codesearch_pages (rowid, path, names, prose) VALUES (?, ?, ?, ?)",
                (row, msg.page.path, msg.page.names, msg.page.prose),
            )

    @handles
    def clear(self, msg: Clear) -> None:  # noqa: ARG002 - it has no fields
        with self.db:
            self.db.execute("DELETE FROM codesearch_pages")
            self.db.execute("DELETE FROM codesearch_files")

    @handles
    def search(self, msg: Search) -> list[Hit]:
        words = [f'"{word}"' for word in re.findall(r"\w+", msg.query)]  # words only: no operators to get wrong
        if not words:
            raise Rejected("say what to look for: at least one word")
        return [Hit(*row) for row in self.db.execute(SEARCH, (" ".join(words), msg.limit))]

    @handles
    def census(self, msg: Census) -> dict[str, int]:  # noqa: ARG002 - it has no fields
        return dict(self.db.execute("SELECT path, count(*) FROM codesearch_pages GROUP BY path"))

    def _row(self, page: Page) -> int:
        """The number of a path: the same in every life."""
        self.db.execute(
            "INSERT INTO codesearch_files (path, lines) VALUES (?, ?) "
            "ON CONFLICT (path) DO UPDATE SET lines = excluded.lines",
            (page.path, page.lines),
        )
        (row,) = self.db.execute("SELECT id FROM codesearch_files WHERE path = ?", (page.path,)).fetchone()
        return int(row)
