"""Black boxes in files: what the next run of a tree reads of the lives of the one before."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
from pathlib import Path

import pytest

from actors.ipc import box_file
from actors.ipc.blackbox import BlackBox
from actors.ipc.box_file import BoxFile
from supervisor import ChildSpec, Supervisor
from supervisor.process.boxes import Boxes, drop
from supervisor.store import SQLiteStore, StoreError
from tests.support.counters import Counter


def test_the_next_run_reads_what_a_life_was_doing(tmp_path):
    """By mailbox, with what it was given; a box that was not kept is deleted."""
    first = Boxes(tmp_path)
    file = BoxFile(first.unkept())
    box, spare = BlackBox(2, file), BlackBox(1, BoxFile(first.unkept()))
    file.keep(first.of("/root/pool", "/root/pool/0", 3))
    file.note_given(7, 2)
    box.recorder.begin(7, 1, 1000)
    assert not first.left("/root/pool")
    second = Boxes(tmp_path)
    second.clear()
    (left,) = second.left("/root/pool")
    assert (7, {7}, {7: 2}, True) == (left.progress.begun, set(left.progress.active), left.given, left.pooled)
    assert not second.left("/root/poo")
    drop([left.file])
    assert not list(tmp_path.iterdir())
    box.close()
    spare.close()


def test_one_that_cannot_be_deleted_keeps_no_other(tmp_path):
    """As on a mount that became read-only: what it says is stored already."""
    (stays := tmp_path / "stays.box").mkdir()
    (goes := tmp_path / "goes.box").touch()
    drop([tmp_path / "gone.box", stays, goes])
    assert [stays] == list(tmp_path.iterdir())


def test_after_a_boot_it_says_nothing(tmp_path, monkeypatch):
    boxes = Boxes(tmp_path)
    file = BoxFile(boxes.unkept())
    box = BlackBox(1, file)
    file.keep(boxes.of("/root/a", "/root/a", 1))
    monkeypatch.setattr(box_file, "boot_number", lambda: 1)
    (left,) = Boxes(tmp_path).left("/root/a")
    assert (None, False) == (left.progress, left.pooled)
    left.file.write_bytes(b"broken")
    assert Boxes(tmp_path).left("/root/a")[0].progress is None
    box.close()


def test_what_a_file_says_lies_where_it_lay(tmp_path):
    """A daemon reads the boxes that one of another version left: where this fails, LAYOUT is one more."""
    boxes = Boxes(tmp_path)
    box = BlackBox(2, BoxFile(boxes.unkept()))
    (file,) = tmp_path.iterdir()
    cells = [0] * (file.stat().st_size // 8)
    cells[6], cells[7] = box_file.boot_number(), 2  # BOOT, LANES
    cells[8:12] = 5, 4, 1000, 3  # BEGUN, DONE, SINCE, HANDLER of the first lane
    cells[16:20] = 6, 6, 900, 2  # and of the second
    behind_counters = -(-(mmap.PAGESIZE + 8 + 256 * (256 + 2 * 4 * 8)) // mmap.PAGESIZE) * mmap.PAGESIZE // 8
    cells[behind_counters : behind_counters + 4] = 5, 71, 6, 72  # delivery tags and numbers of what it was given
    boxes.of("/root/a", "/root/a", 1).write_bytes(struct.pack(f"{len(cells)}Q", *cells))
    (left,) = Boxes(tmp_path).left("/root/a")
    assert (6, {5}, {5: 71, 6: 72}) == (left.progress.begun, set(left.progress.active), left.given)
    assert box_file.LAYOUT == 1
    box.close()


def test_a_box_of_another_layout_says_nothing(tmp_path, monkeypatch):
    """As after a boot: a daemon was killed, and the next one is of another version."""
    boxes = Boxes(tmp_path)
    file = BoxFile(boxes.unkept())
    box = BlackBox(1, file)
    file.keep(boxes.of("/root/a", "/root/a", 1))
    box.recorder.begin(1, 1, 1000)
    assert Boxes(tmp_path).left("/root/a")[0].progress is not None
    monkeypatch.setattr(box_file, "LAYOUT", 2)
    assert Boxes(tmp_path).left("/root/a")[0].progress is None
    box.close()


@pytest.mark.parametrize("unread", ["directory", "box"])
async def test_what_cannot_be_read_is_not_taken_for_nothing(tmp_path, monkeypatch, unread):
    """What a box says is begun would be begun once more: the start is refused, and the next one reads it."""
    store = SQLiteStore(tmp_path / "shop.db")
    tree = Supervisor(ChildSpec(Counter, name="a", durable=True), name="root", store=store)
    boxes = Boxes(store.boxes)
    store.boxes.mkdir()
    file = BoxFile(boxes.unkept())
    box = BlackBox(1, file)
    file.keep(boxes.of("/root/a", "/root/a", 1))

    def refuse(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(store.boxes))

    with monkeypatch.context() as patched:
        patched.setattr(*((os, "listdir", refuse) if unread == "directory" else (Path, "read_bytes", refuse)))
        with pytest.raises(StoreError, match=r"shop.db-boxes cannot be read: Too many open files. It says what was"):
            await tree.__aenter__()
    await store.open()
    await store.close()
    assert len(Boxes(store.boxes).left("/root/a")) == 1
    box.close()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="nothing is allocated before it is written")
def test_on_a_full_disk_a_box_has_no_file(tmp_path, monkeypatch):
    """It ends with the daemon, and says so; nothing is left in the directory."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    boxes = Boxes(tmp_path)
    file = BoxFile(boxes.unkept())
    box = BlackBox(1, file)
    file.keep(boxes.of("/root/a", "/root/a", 1))
    file.note_given(1, 1)
    box.recorder.begin(1, 1, 1000)
    assert {1} == set(box.progress().active)
    assert not file.made
    assert not file.stays
    assert not list(tmp_path.iterdir())
    box.close()


def test_a_box_whose_directory_goes_does_not_stay(tmp_path):
    boxes = Boxes(tmp_path / "boxes")
    file = BoxFile(boxes.unkept())
    box = BlackBox(1, file)
    shutil.rmtree(tmp_path / "boxes")
    file.keep(boxes.of("/root/a", "/root/a", 1))
    assert not file.stays
    box.close()


def test_the_text_of_a_box_in_a_file_is_its_own(tmp_path):
    boxes = Boxes(tmp_path)
    path = boxes.unkept()
    file = BoxFile(path)
    box = BlackBox(1, file)
    file.note_given(1, 1)
    with open(box.fileno(), "wb", closefd=False) as stacks:
        stacks.write(b"stacks")
    assert "stacks" == box.text()
    box.rewind()
    assert "" == box.text()
    box.close()
    assert not path.exists()


def test_a_directory_that_was_removed_is_made_anew(tmp_path):
    """An actor is started again also where someone has tidied up while the daemon runs."""
    boxes = Boxes(tmp_path / "shop.db-boxes")
    file = BoxFile(boxes.unkept())
    box = BlackBox(1, file)
    file.keep(boxes.of("/root/a", "/root/a", 1))
    assert 0o700 == (tmp_path / "shop.db-boxes").stat().st_mode & 0o777
    assert len(boxes.left("/root/a")) == 0 < len(Boxes(tmp_path / "shop.db-boxes").left("/root/a"))
    box.close()
