"""A network that can be cut and healed: whatever is sent over a cut wire arrives when it is healed, or never."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time

_AT_ONCE = 64 * 1024
_TICK = 0.01  # seconds


def tcp_pair():
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    return near, far


class Wire:
    """Forwards connections to other addresses, in a thread of its own.

    Attributes:
        is_cut: whether nothing passes now.
        rate: bytes a second of each connection, in one direction; None without a bound.
    """

    def __init__(self):
        self.is_cut = False
        self.rate = None
        self._due = {}  # when a socket is read again
        self._over = False
        self._ways = {}  # listening socket to target address
        self._peers = {}
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="wire")
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._over = True
        self._thread.join()
        for sock in (*self._ways, *self._peers):
            sock.close()
        self._selector.close()

    def way_to(self, host, port):
        """An address from which everything is forwarded to that one."""
        listener = socket.create_server(("127.0.0.1", 0))
        self._ways[listener] = (host, port)
        self._selector.register(listener, selectors.EVENT_READ)
        return listener.getsockname()[:2]

    def cut(self):
        self.is_cut = True

    def heal(self):
        self.is_cut = False

    def _run(self):
        while not self._over:
            if self.is_cut:
                threading.Event().wait(0.005)
                continue
            for key, _ in self._selector.select(0.01):
                if self.is_cut:
                    break
                if key.fileobj in self._ways:
                    self._accept(key.fileobj)
                elif key.fileobj in self._peers:
                    self._forward(key.fileobj)

    def _accept(self, listener):
        one, _ = listener.accept()
        other = socket.create_connection(self._ways[listener])
        for sock, peer in ((one, other), (other, one)):
            self._peers[sock] = peer
            self._selector.register(sock, selectors.EVENT_READ)

    def _forward(self, sock):
        size = _AT_ONCE
        if self.rate is not None:
            if time.monotonic() < self._due.get(sock, 0.0):
                threading.Event().wait(0.001)
                return
            self._due[sock] = time.monotonic() + _TICK
            size = int(self.rate * _TICK)
        try:
            data = sock.recv(size)
        except ConnectionError:
            data = b""
        peer = self._peers[sock]
        if data:
            with contextlib.suppress(ConnectionError):
                peer.sendall(data)
            return
        self._selector.unregister(sock)
        with contextlib.suppress(OSError):
            peer.shutdown(socket.SHUT_WR)
