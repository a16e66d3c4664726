"""Top: a live table of a daemon's tree, full screen.

Textual's loop draws; requests to the daemon block, so each runs in a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Input, Static

from supervisor.ctl.cells import harmless
from supervisor.ctl.client import Client
from supervisor.ctl.daemons import Seen, reconnected, seen
from supervisor.ctl.errors import ControlError
from supervisor.ctl.rows import Look, rows, usage
from supervisor.ctl.text import stacks_text
from supervisor.ctl.top_lines import ORDERS, chosen, foot, heading, line

PERIOD: Final = 1.0  # seconds between two looks
HELP: Final = """Up, Down  choose a child
s  stacks: where its code is now
w  why it is as it is
o  order by the next column
/  filter by a part of the path; Enter keeps it, Escape ends it
r  restart, asked first
x  stop, asked first
q  quit

DOING of a supervisor: restarts in its window, and how many are left before it gives up.
RATE: messages ended a second. A pool's are at its first process.
CPU and MEM are read from /proc of this machine."""


class Page(ModalScreen[None]):
    """A text over the table; any of the keys below closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,q,enter", "close", "Close")]
    CSS = "Page VerticalScroll { background: $surface; border: round $primary; margin: 1 2; }"

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        """The text."""
        with VerticalScroll():
            yield Static(f"{harmless(self.text)}\n\nEscape closes.", markup=False)

    def action_close(self) -> None:
        """Back to the table."""
        self.dismiss(None)


class Confirm(ModalScreen[bool]):
    """A question that only `y` answers with yes."""

    BINDINGS: ClassVar[list[BindingType]] = [("y", "answer(True)", "Yes"), ("n,escape,q,enter", "answer(False)", "No")]
    CSS = "Confirm { align: center middle; } Confirm Static { width: auto; padding: 1 2; background: $surface; }"

    def __init__(self, question: str) -> None:
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        """The question."""
        yield Static(f"{self.question} (y/n)", markup=False)

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)


class Top(App[None]):
    """The program.

    Args:
        path: of the daemon's control socket.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head, #foot { background: $panel; }
    #head { height: auto; } #foot { height: 1; }  /* why a daemon is lost may be longer than a line */
    DataTable { height: 1fr; } Input { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("s", "stacks", "Stacks"),
        ("w", "why", "Why"),
        ("o", "order", "Order"),
        Binding("slash", "filter", "Filter", priority=True),  # what is typed behind it is for the filter
        ("escape", "all", "All"),
        ("r", "restart", "Restart"),
        ("x", "stop", "Stop"),
        ("question_mark", "help", "Help"),
        ("q", "quit", "Quit"),
    ]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.order = ORDERS[0]
        self.said = ""
        self._wanted = ""
        self._last: Seen | None = None  # the daemon that answered last
        self._over = threading.Event()
        self._now: Look | None = None
        self._before: Look | None = None

    def compose(self) -> ComposeResult:
        """Heading, table, filter, keys."""
        yield Static(id="head", markup=False)
        yield DataTable[Text](cursor_type="row", cell_padding=0, show_header=False)
        yield Input(placeholder="part of a path")
        yield Static(id="foot", markup=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self.query_one(DataTable).focus()
        self._look()

    def on_unmount(self) -> None:
        """End to look."""
        self._over.set()

    @work(thread=True)
    def _look(self) -> None:
        while not self._over.is_set():
            try:
                with self._connected() as client:
                    self._look_at(client)
            except ControlError as error:
                if not self._over.is_set():
                    self.call_from_thread(self._lost, str(error))
                self._over.wait(PERIOD)

    def _look_at(self, client: Client) -> None:
        """Show what that daemon says, until the program ends, which may be while this shows it."""
        while not self._over.is_set():
            self._last = seen(client)
            tree = client.tree()
            self.call_from_thread(self._seen, Look(tree, usage(tree)))
            self._over.wait(PERIOD)

    def _connected(self) -> Client:
        """A connection to the daemon, or to the one that has taken its place."""
        client = reconnected(self.path, self._last)
        self.path = client.path
        return client

    def _seen(self, now: Look) -> None:
        self._before, self._now, self.said = self._now, now, ""
        self._draw()

    def _lost(self, why: str) -> None:
        self.said = f"LOST: {why}"
        self._draw()

    def on_resize(self) -> None:
        """Draw anew at the new width."""
        self._draw()

    def _draw(self) -> None:
        board = self.screen_stack[0]
        width = max(60, self.size.width - 2)
        table = board.query_one(DataTable)
        board.query_one("#head", Static).update(self.said or heading(width))
        board.query_one("#foot", Static).update(foot(self.order, self._wanted, width))
        if self._now is None:
            return
        shown = chosen(rows(self._now, self._before), self.order, self._wanted)
        path, offset = self._chosen(), table.scroll_offset
        table.clear(columns=True)
        table.add_column("", width=width)
        for row in shown:
            table.add_row(Text(line(row, self.order, width)), key=row.node.path)
        at = next((at for at, row in enumerate(shown) if row.node.path == path), 0)
        table.move_cursor(row=at, scroll=False)
        table.scroll_to(y=offset.y, animate=False)

    def _chosen(self) -> str:
        table = self.screen_stack[0].query_one(DataTable)
        if not table.row_count:
            return ""
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

    # ---- keys

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Page(HELP))

    def action_order(self) -> None:
        """Order by the next column."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self._draw()

    def action_filter(self) -> None:
        """Ask for a part of the paths."""
        field = self.query_one(Input)
        field.display = True
        self.set_focus(field)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - it is textual's
        """No key of the filter is another one's: a path is typed there."""
        return action != "filter" or not isinstance(self.focused, Input)

    def action_all(self) -> None:
        """Show all children again."""
        self.query_one(Input).value = ""
        self.on_input_submitted()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._wanted = event.value
        self._draw()

    def on_input_submitted(self) -> None:
        """Back to the table."""
        self.query_one(Input).display = False
        self.set_focus(self.query_one(DataTable))

    def action_stacks(self) -> None:
        """Show the stacks of the chosen child."""
        path = self._chosen()
        self._ask(path, lambda client: "\n".join(map(stacks_text, client.stacks(path))))

    def action_why(self) -> None:
        """Show why the chosen child is as it is."""
        path = self._chosen()
        self._ask(path, lambda client: "\n\n".join(one.sentence for one in client.why(path)))

    def action_restart(self) -> None:
        """Restart the chosen child, after a question."""
        path = self._chosen()
        self._confirm("restart", path, lambda client: client.restart(path))

    def action_stop(self) -> None:
        """Stop the chosen child, after a question."""
        path = self._chosen()
        self._confirm("stop", path, lambda client: client.stop(path))

    def _confirm(self, verb: str, path: str, deed: Callable[[Client], str]) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._ask(path, deed)

        if path:
            self.push_screen(Confirm(f"{verb} {path}?"), answered)

    def _ask(self, path: str, deed: Callable[[Client], str]) -> None:
        """Ask the daemon about the chosen child; nothing is chosen where no row is shown."""
        if path:  # in a thread that does not hold up the end of the program: a stop may outlast it
            threading.Thread(target=self._answer, args=(deed,), daemon=True).start()

    def _answer(self, deed: Callable[[Client], str]) -> None:
        try:
            with Client(self.path) as client:
                text = deed(client)
        except ControlError as error:
            text = str(error)
        if not self._over.is_set():
            self.call_from_thread(self.push_screen, Page(text))
