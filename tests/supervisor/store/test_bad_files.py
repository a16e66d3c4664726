"""Files that are no store, or none of this version: told with what to do, and not touched; older ones are migrated."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from supervisor.store import SQLiteStore, StoreError
from supervisor.store.sqlite import ownership, schema
from supervisor.store.sqlite.connection import statements
from tests.support.stored import accept, looked_at, seqs


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


async def refusal(path):
    """The text with which a store refuses to open; the same store opens when the cause is gone."""
    store = SQLiteStore(path)
    with pytest.raises(StoreError) as refused:
        await store.open()
    return str(refused.value)


async def filled(path):
    store = SQLiteStore(path)
    await store.open()
    await store.commit(accept("ledger", *range(1, 501), payload=bytes(500)))
    await store.close()


async def test_no_database(path):
    """A file of another kind stays as it is."""
    path.write_bytes(b"name,amount\n" * 1000)
    text = await refusal(path)
    assert f"{path}: it is not a SQLite database, or is damaged (SQLITE_NOTADB" in text
    assert "Restore a backup, or give the store another path" in text
    assert path.read_bytes() == b"name,amount\n" * 1000


async def test_a_database_of_another_program(path):
    """It gets no table, and keeps its journal mode."""
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE customer (name)")
    other.commit()
    other.close()
    before = path.read_bytes()
    text = await refusal(path)
    assert "is a database of another program (1 tables, indexes and views); nothing was changed" in text
    assert path.read_bytes() == before
    assert sorted(left.name for left in path.parent.iterdir()) == ["shop.db", "shop.db-lock"]


async def test_a_file_with_two_names(path):
    """Its log goes by the name; so it is refused, by either, until one is left."""
    await filled(path)
    other = path.with_name("other.db")
    other.hardlink_to(path)
    assert "has 2 names (hard links): opened by two of them it would be damaged" in await refusal(other)
    assert "has 2 names (hard links)" in await refusal(path)
    other.unlink()
    await filled_already(path)


async def filled_already(path):
    store = SQLiteStore(path)
    await store.open()
    assert len(await store.messages("ledger", 0, 1000)) == 500
    await store.close()


async def test_a_newer_version(path):
    """Nothing of it is read or changed."""
    await filled(path)
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 7")
    newer.close()
    text = await refusal(path)
    assert "was written by a newer actor-supervisor: its schema is 7, this one knows 2" in text
    assert looked_at(path, "PRAGMA user_version") == [(7,)]


async def test_a_damaged_file(path):
    """An error that names it, at the start or at the message that meets it; nothing hangs."""
    await filled(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    store = SQLiteStore(path)
    with pytest.raises(StoreError, match=r"it is damaged .* restore a backup"):
        await store.open()
        await store.messages("ledger", 0, 1000)
    await store.close()


async def test_an_empty_file_is_a_new_store(path):
    """As SQLite has it."""
    path.touch()
    await filled(path)


@pytest.mark.parametrize("place", ["missing/shop.db", "file/shop.db"])
async def test_a_directory_that_is_not_there(tmp_path, place):
    """The text says which."""
    (tmp_path / "file").touch()
    path = tmp_path / place
    assert f"Make the directory {path.parent} first" in await refusal(path)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("n" * 249, "SQLite takes 504 bytes, of them 247 for the name of the file"),
        ("/".join(["d" * 100] * 6), "SQLite takes 504 bytes"),
        ("n" * 251, "File name too long. Give nnn"),
    ],
)
async def test_a_path_that_is_too_long(tmp_path, name, told):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    assert told in await refusal(path)


@pytest.mark.parametrize("name", [b"\xff\xfe.db", b"a%20b?mode=memory#.db", b"a\nb.db", b"'; drop.db"])
async def test_a_path_with_any_bytes(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    await filled(path)
    assert path.exists()


async def test_a_directory(path):
    """In place of a file."""
    path.mkdir()
    assert f"{path} is a directory" in await refusal(path)


async def test_a_pipe(path):
    """In place of a file."""
    os.mkfifo(path)
    assert "is a device, a pipe or a socket; the path of a store is that of a file" in await refusal(path)


async def test_what_cannot_be_made(path):
    """Each says what to do about it."""
    boxes = path.with_name(f"{path.name}-boxes")
    boxes.touch()
    assert "File exists. It is not a directory: move it out of" in await refusal(path)
    boxes.unlink()
    path.unlink()
    path.symlink_to(path)
    assert "It is a symbolic link that leads to itself" in await refusal(path)


async def test_a_directory_that_cannot_be_written(path, monkeypatch):
    """The lock is the first thing that fails there."""

    def refused(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ownership.os, "open", refused)
    assert f"Permission denied. The daemon needs to write in {path.parent}" in await refusal(path)


async def test_a_file_that_can_only_be_read(path):
    """By its mode, or by its file system; told at the start, not at the first message."""
    await filled(path)
    if os.getuid() == 0:
        pytest.skip("root writes everywhere")
    path.chmod(0o444)
    assert "it cannot be written (SQLITE_READONLY" in await refusal(path)


async def test_a_lock_that_another_program_holds(path, monkeypatch):
    """A shell with an open transaction: senders are told, and the store goes on when it ends."""
    monkeypatch.setattr("supervisor.store.sqlite.connection.BUSY", 0.05)
    store = SQLiteStore(path)
    await store.open()
    shell = sqlite3.connect(path, isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"another program holds a lock on it.*SQLITE_BUSY"):
        await store.commit(accept("ledger", 1))
    shell.execute("ROLLBACK")
    shell.close()
    await store.commit(accept("ledger", 1))
    assert seqs(await store.messages("ledger", 0, 5)) == [1]
    await store.close()


async def test_an_older_version_is_migrated(path, monkeypatch):
    """With all it has, in one transaction."""
    await filled(path)
    second = "ALTER TABLE message ADD COLUMN weight INTEGER NOT NULL DEFAULT 5; CREATE INDEX heavy ON message (weight);"
    monkeypatch.setattr(schema, "SCRIPTS", (*schema.SCRIPTS, second))
    store = SQLiteStore(path)
    await store.open()
    assert len(await store.messages("ledger", 0, 1000)) == 500
    await store.close()
    assert looked_at(path, "SELECT sum(weight) FROM message") == [(2500,)]
    assert looked_at(path, "PRAGMA user_version") == [(3,)]


async def test_a_migration_that_fails_changes_nothing(path, monkeypatch):
    """The older program can go on with it."""
    await filled(path)
    with monkeypatch.context() as patched:
        patched.setattr(schema, "SCRIPTS", (*schema.SCRIPTS, "CREATE TABLE extra (x); INSERT INTO nowhere VALUES (1);"))
        assert "nowhere" in await refusal(path)
    assert looked_at(path, "PRAGMA user_version") == [(2,)]
    store = SQLiteStore(path)
    await store.open()
    assert len(await store.messages("ledger", 0, 1000)) == 500
    await store.close()


def test_a_script_is_cut_into_statements():
    """Also where a text has a semicolon."""
    assert statements("SELECT ';'; SELECT 2;\n") == ["SELECT ';';", "SELECT 2;"]
    assert len(statements(schema.SCRIPTS[0])) > 10


async def test_a_table_that_someone_drops(path):
    """An error for whoever stores or opens, and no end of the store's thread."""
    store = SQLiteStore(path)
    await store.open()
    shell = sqlite3.connect(path)
    shell.execute("DROP TABLE journal")
    shell.close()
    with pytest.raises(StoreError, match="no such table: journal"):
        await store.commit(accept("ledger", 1))
    await store.close()
    assert "no such table: journal" in await refusal(path)


async def test_a_new_file_whose_close_fails_is_there(path, monkeypatch):
    """As on a disk with an error, or a network file system: it is empty, so nothing of it is lost."""
    failed = []

    def close(fd, real=os.close):
        real(fd)
        failed.append(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", close)
    store = SQLiteStore(path)
    try:
        await store.open()
    finally:
        monkeypatch.undo()
    assert failed
    await store.commit(accept("ledger", 1))
    await store.close()


async def test_a_shell_that_holds_it_while_it_is_opened(path):
    """An open store goes on by itself; one that cannot be opened does not."""
    await filled(path)
    shell = sqlite3.connect(path, isolation_level=None)
    shell.execute("BEGIN EXCLUSIVE")
    try:
        assert "another program holds a lock on it" in (text := await refusal(path))
        assert text.endswith("End that transaction, and start again")
    finally:
        shell.close()
