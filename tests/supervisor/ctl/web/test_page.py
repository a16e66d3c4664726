"""The page in a real browser, beside a real daemon whose actors are killed."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack

import pytest

from supervisor.ctl.client import connect
from tests.support import browser
from tests.support.control import ALONE, short_folder, web
from tests.support.control import daemon as running_daemon
from tests.support.ports import free_port
from tests.support.waiting import until_now

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
def chromium():
    """The browser of all tests here."""
    with browser.browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(path, chromium):
    """The page, open; no error of it was reported at the end."""
    with web(path) as served:
        found = chromium.another()
        found.look(1400, 1000)
        found.open(served.url)
        found.until("document.querySelector('#rows tr')")
        yield found
        assert [] == found.problems
        found.close()


@pytest.fixture
def tab(chromium):
    """A page of the test's own, with nothing in it."""
    found = chromium.another()
    yield found
    found.close()


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


def test_restart_asks_first(page, daemon):
    """No leaves the process; yes gives a new one, which the row and the events show."""
    choose(page, "/root/worker")
    before = pid_of(daemon, "worker")
    page.click("#restart")
    page.until("document.getElementById('dialog').open")
    page.key("Escape")
    page.until("!document.getElementById('dialog').open")
    assert before == pid_of(daemon, "worker")
    page.click("#restart")
    page.click("#dialog-yes")
    page.until("document.getElementById('dialog-text').textContent.includes('has a new process')")
    page.click("#dialog-no")
    after = pid_of(daemon, "worker")
    assert before != after
    page.until(f"document.getElementById('facts').textContent.includes('Pid{after}')")
    page.until("document.querySelector('#timeline .mark-end') && document.querySelector('#timeline .mark-start')")


def test_what_cannot_be_done_is_disabled(page):
    """The root cannot be stopped here, and what is no process of Python has no stacks."""

    def disabled(path):
        choose(page, path)
        return page.js("['stacks', 'restart', 'stop'].filter((id) => document.getElementById(id).disabled)")

    assert ["stacks", "restart", "stop"] == disabled("/root")
    assert ["stacks"] == disabled("/root/sub")
    assert ["stacks"] == disabled("/root/command")
    assert [] == disabled("/root/worker")


def test_dead_letters_are_shown_sent_again_and_dropped(page, daemon):
    """What waited for an actor that is stopped; a change asks first, and the daemon does it."""
    daemon.tell("stuck", "Sleep", json.dumps({"seconds": 3600}))
    for amount in (5, 6):
        daemon.tell("stuck", "Add", json.dumps({"amount": amount}))
    daemon.stop("stuck")
    daemon.start("stuck")
    first, second = (one.id for one in daemon.dead("stuck").letters if one.message_type == "Add")
    page.until(f"{button('Show', first)} && {button('Show', second)}")
    page.js(f"{button('Show', first)}.click()")
    page.until("document.getElementById('dialog-text').textContent.includes('\"amount\":5')")
    page.click("#dialog-no")
    page.js(f"{button('Send again', first)}.click()")
    page.until("document.getElementById('dialog-yes').textContent === 'Send again'")
    page.click("#dialog-no")
    assert first in {one.id for one in daemon.dead().letters}
    page.js(f"{button('Send again', first)}.click()")
    page.click("#dialog-yes")
    page.until("document.getElementById('dialog-text').textContent.includes('1 message sent again')")
    page.click("#dialog-no")
    page.until(f"!{button('Show', first)}")
    assert "5" == daemon.ask("stuck", "Add", '{"amount": 0}')
    page.js(f"{button('Drop', second)}.click()")
    page.click("#dialog-yes")
    page.until("document.getElementById('dialog-text').textContent.includes('1 letter dropped')")
    page.click("#dialog-no")
    page.until(f"!{button('Show', second)}")
    assert second not in {one.id for one in daemon.dead().letters}


def button(text, letter):
    """A button of a dead letter, as an expression."""
    return f"document.querySelector('#letter-rows [aria-label=\"{text} letter {letter}\"]')"


def child_of(daemon, name):
    """A child of the root, as the daemon shows it."""
    return next(child for child in daemon.tree().root.children if child.name == name)


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
    until_now(lambda: child_of(daemon, "stuck").handling == "Sleep", "the next life handles")
    daemon.restart("stuck")
    page.until("document.getElementById('depth-now').textContent === '0'")
    page.until("document.getElementById('latency-now').textContent || document.getElementById('note').textContent")


def test_names_are_text(page):
    """Nothing of the daemon becomes markup."""
    page.js("document.getElementById('filter').value = '<img src=x>'; document.getElementById('filter').oninput()")
    page.until("document.querySelectorAll('#rows tr').length === 0")
    page.js("document.getElementById('filter').value = ''; document.getElementById('filter').oninput()")
    page.until("document.querySelectorAll('#rows tr').length > 10")


def test_more_tabs_than_a_browser_has_connections_to_a_host(page, daemon):
    """All of them are live."""
    tabs = [page.another() for _ in range(7)]
    for tab in tabs:
        tab.open(page.js("location.href"))
    for tab in tabs:
        tab.until("document.querySelector('#rows tr')")
    worker = child_of(daemon, "worker")
    os.kill(worker.pid, signal.SIGKILL)
    for tab in (page, *tabs):
        tab.until(f"document.getElementById('events').textContent.includes('worker life {worker.life + 1} is ready')")
    for tab in tabs:
        tab.close()


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


# ---- the end of a daemon, and of the page's process


def status(words):
    """The status has some words, as an expression."""
    return f"document.getElementById('status').textContent.includes({words!r})"


def test_over_a_restart_of_the_daemon(tab):
    """It says that the daemon is gone and offers no change; then it shows the one that follows, and draws the gap."""
    with short_folder() as folder, ExitStack() as ending:
        with running_daemon(folder, ALONE) as first:
            served = ending.enter_context(web(next(iter((folder / "actors").iterdir()))))
            tab.open(served.url)
            tab.until(row("worker"))
            choose(tab, "/root/worker")
            first.kill()
            first.wait()
            tab.until(status("has ended"))
            tab.until("['stacks', 'restart', 'stop'].every((id) => document.getElementById(id).disabled)")
            assert " up " not in tab.js("document.getElementById('about').textContent")
        with running_daemon(folder, ALONE) as second:
            tab.until(f"document.getElementById('about').textContent.includes('pid {second.pid},')")
            tab.until("document.getElementById('status').textContent === 'healthy'")
            tab.until("document.querySelector('#timeline .mark-lost')")
            tab.until("document.querySelector('#depth .curve').getAttribute('d').split('M').length > 2")  # a line each
            tab.until("!document.getElementById('stop').disabled")
            tab.click("#stacks")
            tab.until("document.getElementById('dialog-text').textContent.includes('(pid ')")
            gone = "status of 502"  # what the browser notes of a request while there was no daemon
            assert [] == [problem for problem in tab.problems if gone not in str(problem)]


def test_a_token_that_is_not_the_pages(path, tab):
    """Another token shows nothing; a page that was open when `actorctl web` began anew says which URL to open."""
    port = str(free_port())
    with web(path, "--port", port) as served:
        tab.open(served.url.replace(served.token, "x" * len(served.token)))
        tab.until("document.body.textContent.includes('open the URL that `actorctl web` has printed')")
        assert not tab.js("document.getElementById('rows')")
        tab.open(served.url)
        tab.until(row("worker"))
    tab.until(status("no connection to actorctl web"))
    with web(path, "--port", port):
        tab.until(status("open the URL that it prints"))
        tab.until("document.getElementById('stop').disabled")


LIVE = """
const at = (ago) => Date.now() / 1000 - ago;
const START = { kind: "start", path: "/root/worker", text: "" };
const NOTE = { at: at(10), kind: "note", path: "", text: "connected" };
const SENT = [NOTE, { at: at(90), ...START }, { at: at(5), ...START }];
window.SharedWorker = undefined; // as on some phones: the page listens itself
window.EventSource = class {
  addEventListener(kind, take) {
    if (kind === "events") setTimeout(() => take({ data: JSON.stringify(SENT) }));
  }
};
"""


def test_the_timeline_begins_with_the_oldest_event(path, tab):
    """Also where a note of the page, which was connected later, stands before it."""
    with web(path) as served:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=LIVE)
        tab.open(served.url)
        tab.until("document.querySelector('#timeline .mark-start')")
        drawn = "[...document.querySelectorAll('#timeline .axis, #timeline .mark-start')]"
        places = tab.js(f"{drawn}.map((one) => one.getAttribute('d'))")
        axis, *marks = (float(place[1:].split()[0].partition("v")[0]) for place in places)
        assert 2 == len(marks)
        assert min(marks) > axis - 1
