"""The server of the workbench: on the loopback address, until it is told to stop, idle for long, or interrupted."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from hepatica.core.progress import Progress
from hepatica.errors import OutputError
from hepatica.web.desk import Desk
from hepatica.web.gate import Keys

LOOPBACK = "127.0.0.1"
WATCH_S = 0.25
CLOSING_S = 3


@dataclass(eq=False)
class Server:
    """A running workbench.

    Parameters
    ----------
    desk : Desk
        Cases.
    port : int
        0 for a free one.

    Raises
    ------
    OutputError
        If the port cannot be had.
    """

    desk: Desk
    port: int = 0
    _socket: socket.socket = field(init=False, repr=False)
    _server: Any = field(init=False, repr=False)
    _workbench: Any = field(init=False, repr=False)
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        import uvicorn

        from hepatica.web.application import Workbench, application

        self._socket = _listening(self.port)
        self.keys = Keys(self._socket.getsockname()[1])
        self._workbench = Workbench(self.desk)
        # No log of requests: an address would name what somebody looked at.
        config = uvicorn.Config(
            application(self._workbench, self.keys), log_config=None, access_log=False, server_header=False,
            date_header=False, ws="none", timeout_graceful_shutdown=CLOSING_S, lifespan="off",
        )  # fmt: skip
        self._server = uvicorn.Server(config)

    def run(self, idle_s: float | None = None) -> None:
        """Serve until `stop`, an interrupt, or so many seconds in which nobody asked anything."""
        # In a thread of its own, so that an interrupt ends it as `stop` does, and the caller says what was done. It is
        # waited for by an event: a `join` that is interrupted takes a thread that still runs for one that ended.
        ended = threading.Event()

        def answer() -> None:
            try:
                self._server.run(sockets=[self._socket])
            finally:
                ended.set()

        threading.Thread(target=answer, daemon=True).start()
        threading.Thread(target=self._watch, args=(idle_s,), daemon=True).start()
        self.desk.touch()
        try:
            while not ended.wait(WATCH_S):
                pass
        except KeyboardInterrupt:
            self.stop()
            ended.wait(2 * CLOSING_S)
        finally:
            self._server.should_exit = True
            self._workbench.close()
            self._socket.close()

    def stop(self) -> None:
        """Ask it to end."""
        self._server.should_exit = True

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        return bool(self._server.started)

    def _watch(self, idle_s: float | None) -> None:
        while not self._server.should_exit:
            self.desk.sweep()
            if idle_s is not None and time.monotonic() - self.desk.used > idle_s:
                self.stop()
            time.sleep(WATCH_S)


def _listening(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((LOOPBACK, port))
    except OSError as error:
        found.close()
        raise OutputError(f"port {port} cannot be had ({error.strerror})", remedy="choose another `port`") from error
    return found


def open_when_up(server: Server, progress: Progress) -> None:
    """Open the browser once the server answers; where there is none, the address was said."""
    import webbrowser

    def wait_and_open() -> None:
        while not server.is_up:
            time.sleep(WATCH_S / 5)
        if not webbrowser.open(server.keys.address_once):
            progress("no browser could be opened: open the address yourself")

    threading.Thread(target=wait_and_open, daemon=True).start()
