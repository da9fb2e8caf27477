"""The server at its port: opened so that a failure is a sentence, run until it is told to end."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mien.errors import ServerError, bad_argument, require
from mien.outputs.server.guard import clean_token
from mien.outputs.server.watching import LONGEST_TEXT

if TYPE_CHECKING:
    from fastapi import FastAPI

_START_S = 30.0
_BACKLOG = 256


class Server:
    """Serves an application at an address.

    Use :meth:`run` to serve until Ctrl-C, or a ``with`` block to serve from another thread meanwhile.

    Parameters
    ----------
    app : FastAPI
        Made by :func:`mien.outputs.server.create_app`.
    host : str
        Address to listen on.
    port : int
        0 for any that is free.

    Raises
    ------
    ArgumentError
        If other machines could reach it and the application asks for no token, or the port is no port.
    ServerError
        If the address cannot be listened on; the message says why.
    """

    def __init__(self, app: FastAPI, host: str = "127.0.0.1", port: int = 8765) -> None:
        uvicorn: Any = require("uvicorn", purpose="The server", extra="serve")
        check_host(host, app.state.token)
        self._socket = listen(host, port)
        logging.getLogger("python_multipart").setLevel(
            logging.ERROR
        )  # damaged forms are answered, not logged
        name = f"[{host}]" if ":" in host else host
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://{name}:{self.port}"
        most: int = max(app.state.limits.upload_bytes, 4 * LONGEST_TEXT)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # addresses and what they asked for are nobody's business
            ws_max_size=most + 1024,  # what is a little too large is answered with a sentence
            ws_max_queue=2,  # pictures that come faster than they are taken wait at the sender
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            lifespan="on",
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serve until the process is told to end (Ctrl-C, SIGTERM)."""
        try:
            self._server.run(sockets=[self._socket])
        except KeyboardInterrupt:
            return  # it has ended in an orderly way before it says so
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Tell it to end; may be called from any thread."""
        self._server.should_exit = True

    def close(self) -> None:
        """Give the port back, where it was never run."""
        self._socket.close()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.run, name="mien-server", daemon=True)
        self._thread.start()
        until_s = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until_s:
                raise ServerError(f"The server at {self.url} did not start; its log says why.")
            time.sleep(0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_host(host: str, token: str | None) -> None:
    """Raise unless an address may be listened on with this token.

    Raises
    ------
    ArgumentError
    """
    if token is not None:
        clean_token(token)
    elif not is_loopback(host):
        allowed = "127.0.0.1, or given with a token, since other machines can reach it"
        raise bad_argument("host", allowed=allowed, given=host)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises
    ------
    ArgumentError
        If the port is no port.
    ServerError
        If it is taken, not allowed, or the address is none of this machine's.
    """
    if not 0 <= port <= 65535:
        raise bad_argument("port", allowed="a number from 0 to 65535", given=port)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServerError(f"{host!r} is no address of this machine: {error.strerror or error}.") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart, at once
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ServerError(_refused(host, port, error)) from error
    return listening


def _refused(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is taken by another program; choose another, or 0 for any that is free."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} may not be opened by you; choose one from 1024 on."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; use 127.0.0.1, or 0.0.0.0 for all it has."
    return f"{host} port {port} cannot be listened on: {error.strerror or error}."
