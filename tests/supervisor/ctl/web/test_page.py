"""The page in a real browser, beside a real daemon whose actors are killed."""

from __future__ import annotations

import json
import os
import signal

import pytest

from supervisor.ctl.client import connect
from tests.support import browser
from tests.support.control import web

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(browser.FOUND is None, reason="there is no Chromium"),
]


@pytest.fixture(scope="module")
def path(running):
    folder, _ = running
    return next(iter((folder / "actors").iterdir()))


@pytest.fixture
def daemon(path):
    with connect(path) as client:
        yield client


@pytest.fixture(scope="module")
def page(path):
    """The page, open; no error of it was reported at the end."""
    with web(path) as served, browser.browser() as found:
        found.look(1400, 1000)
        found.open(served.url)
        found.until("document.querySelector('#rows tr')")
        yield found
        assert [] == found.problems


def pid_of(daemon, name):
    return next(child.pid for child in daemon.tree().root.children if child.name == name)


def row(name):
    """The row of a child, as an expression."""
    return f"[...document.querySelectorAll('#rows tr')].find((row) => row.cells[0].textContent === '{name}')"


def choose(page, path):
    page.js(f"{row(path.rpartition('/')[2])}.querySelector('button').click()")
    page.until(f"document.getElementById('path').textContent === '{path}'")


def test_the_tree_is_there(page, daemon):
    page.until("document.getElementById('status').textContent === 'healthy'")
    assert page.js("document.title").startswith("/root (healthy)")
    headings = page.js("[...document.querySelectorAll('#children th[scope=col]')].map((one) => one.textContent)")
    assert "Waiting" in headings
    assert page.js("document.querySelectorAll('#rows th[scope=row]').length") > 10


def test_a_kill(page, daemon):
    """The death is in the timeline, in the events and in the row; `why` says it in one sentence."""
    os.kill(pid_of(daemon, "worker"), signal.SIGKILL)
    page.until("document.querySelector('#timeline .mark-death')")
    page.until("document.getElementById('events').textContent.includes('SIGKILL from outside')")
    page.until(f"{row('worker')}.textContent.includes('SIGKILL')")
    choose(page, "/root/worker")
    page.until("document.getElementById('why').textContent.includes('permanent children are restarted')")


def test_stacks_by_keyboard(page):
    """Enter on a name, then on Stacks; Escape closes the dialog and the focus is back."""
    page.js(f"{row('inner')}.querySelector('button').focus()")
    page.key("Enter")
    page.until("document.getElementById('path').textContent === '/root/sub/inner'")
    page.until("!document.getElementById('stacks').disabled")
    page.js("document.getElementById('stacks').focus()")
    page.key("Enter")
    page.until("document.getElementById('dialog').open")
    assert "(pid " in page.js("document.getElementById('dialog-text').textContent")
    page.key("Escape")
    page.until("!document.getElementById('dialog').open")
    assert "stacks" == page.js("document.activeElement.id")


def test_stop_asks_first_and_start_brings_it_back(page, daemon):
    choose(page, "/root/configured")
    page.click("#stop")
    page.until("document.getElementById('dialog').open")
    page.click("#dialog-no")
    page.until("!document.getElementById('dialog').open")
    assert pid_of(daemon, "configured") is not None
    page.click("#stop")
    page.click("#dialog-yes")
    page.until("document.getElementById('dialog-text').textContent.includes('down until it is started')")
    page.click("#dialog-no")
    page.until("!document.getElementById('start').hidden")
    page.click("#start")
    page.until("document.getElementById('dialog-text').textContent.includes('is ready')")
    page.click("#dialog-no")
    assert pid_of(daemon, "configured") is not None


def test_dead_letters_and_depth(page, daemon):
    """What an abort leaves is a dead letter; what waits behind a slow handler is in the row and the chart."""
    daemon.tell("stuck", "Abort")
    page.until("document.getElementById('letter-rows').textContent.includes('Abort to /root/stuck')")
    page.click("#letter-rows button")
    page.until("document.getElementById('dialog').open")
    page.click("#dialog-no")
    daemon.tell("stuck", "Sleep", json.dumps({"seconds": 3600}))
    for _ in range(7):
        daemon.tell("stuck", "Add", '{"amount": 1}')
    choose(page, "/root/stuck")
    page.until("document.getElementById('depth-now').textContent === '8'")
    assert "at most 8" in page.js("document.getElementById('depth').getAttribute('aria-label')")
    daemon.restart("stuck")
    page.until("document.getElementById('depth-now').textContent === '0'")
    page.until("document.getElementById('latency-now').textContent || document.getElementById('note').textContent")


def test_names_are_text(page):
    """Nothing of the daemon becomes markup."""
    page.js("document.getElementById('filter').value = '<img src=x>'; document.getElementById('filter').oninput()")
    page.until("document.querySelectorAll('#rows tr').length === 0")
    page.js("document.getElementById('filter').value = ''; document.getElementById('filter').oninput()")
    page.until("document.querySelectorAll('#rows tr').length > 10")


@pytest.mark.parametrize(("width", "height"), [(360, 740), (760, 1000), (1400, 1000)])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits(page, width, height, dark):
    """Nothing is wider than the window, and text differs from its background."""
    page.look(width, height, dark=dark)
    page.until(f"document.documentElement.scrollWidth <= {width}")
    colours = page.js(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        ".map((colour) => colour.match(/\\d+/g).map(Number).reduce((sum, one) => sum + one))"
    )
    assert (colours[0] > colours[1]) is dark
    assert abs(colours[0] - colours[1]) > 400


def test_every_control_has_a_name(page):
    """For a screen reader: buttons and fields have texts or labels, tables headings, pictures say what they show."""
    nameless = page.js(
        "[...document.querySelectorAll('button, input')].filter((one) => one.offsetParent !== null && "
        "!(one.textContent.trim() || one.ariaLabel || one.labels?.length)).length"
    )
    assert 0 == nameless
    assert 0 == page.js(
        "[...document.querySelectorAll('table')].filter((one) => !one.querySelector('th[scope=col]')).length"
    )
    assert 0 == page.js("[...document.querySelectorAll('svg[role=img]')].filter((one) => !one.ariaLabel).length")
