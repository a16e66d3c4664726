"""A headless Chromium, driven over a pipe by the DevTools protocol: commands as JSON, each ended by a zero byte."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager

from tests.support.waiting import DEADLINE

FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One page, in a tab of its own.

    Attributes:
        problems: errors that the browser has reported of it.
    """

    def __init__(self, out, into, numbers, tabs):
        self._out = out
        self._into = into
        self._numbers = numbers
        self._tabs = tabs  # all of this browser, by session
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.problems = []
        tabs[self._session] = self
        self.call("Runtime.enable")
        self.call("Page.enable")
        self.call("Log.enable")

    def call(self, method, **params):
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        self._out.write(json.dumps({"id": number, "method": method, "params": params, **session}).encode() + b"\0")
        self._out.flush()
        while True:
            said = json.loads(self._read())
            if said.get("id") == number:
                assert "error" not in said, (method, said["error"])
                return said["result"]
            if said.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded") and said["sessionId"] in self._tabs:
                self._tabs[said["sessionId"]].problems.append(said["params"])

    def another(self):
        """A page in another tab."""
        return Browser(self._out, self._into, self._numbers, self._tabs)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def close(self):
        """Close the tab."""
        self.call("Page.close")

    def js(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression):
        """Wait until an expression is true."""
        end = time.monotonic() + DEADLINE
        while not self.js(f"Boolean({expression})"):
            assert time.monotonic() < end, (expression, self.js("document.body.innerText"), self.problems)
            time.sleep(0.05)

    def text(self):
        return self.js("document.body.innerText")

    def click(self, selector):
        self.js(f"document.querySelector({selector!r}).click()")

    def key(self, key, code=None, text=None):
        """Press a key."""
        what = {
            "key": key,
            "code": code or key,
            "windowsVirtualKeyCode": {"Enter": 13, "Tab": 9, "Escape": 27}.get(key, 0),
        }
        down = {"type": "keyDown", "text": "\r"} if key == "Enter" else {"type": "keyDown"}
        self.call("Input.dispatchKeyEvent", **down, **what)
        self.call("Input.dispatchKeyEvent", type="keyUp", **what)

    def look(self, width, height, *, dark=False):
        """Show it in a window of that size, in light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def end(self):
        """Close the browser."""
        self._session = None
        self.call("Browser.close")

    def _read(self):
        data = bytearray()
        while (byte := self._into.read(1)) != b"\0":
            assert byte, "the browser has ended"
            data += byte
        return data


@contextmanager
def browser():
    """A browser with one page."""
    folder = tempfile.mkdtemp(prefix="chromium-")
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--hide-scrollbars",
    )
    # It has its pipes at descriptors 3 and 4.
    process = subprocess.Popen(
        [
            *("sh", "-c", 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null', FOUND, *flags),
            *(f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        found = Browser(process.stdin, process.stdout, itertools.count(1), {})
        yield found
        found.end()
        process.wait(DEADLINE)
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)
