"""The one way out that a setup command has: package indexes, asked for it by the controller.

Trusted guest code, on the candidates' side. The gate listens on the loopback of a network namespace
that holds nothing else, and speaks just enough HTTP for an installer: `GET` and `HEAD` of a path.
Each request goes to the controller as a frame, which knows the indexes, their addresses and their
passwords, and decides; nothing that a command sends but the path ever leaves the sandbox.

To the controller: `{"path": path, "at": offset}`. From it: `{"status": number, "type": media type,
"total": bytes in all, "body": some of them from the offset on, in base 64}`.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import re
import socket
import threading
import urllib.parse
from http import HTTPStatus
from typing import Any

from . import wire

WHEELS = "/wheels"
"""Path of the list of wheels that were asked for; the gate has it itself."""

_HOST = "127.0.0.1"
_PATH_LIMIT = 2048
_IDLE_SECONDS = 5.0
_MOST_AT_ONCE = 16
_WHEEL = re.compile(r"/([^/-]+)-([^/-]+)(?:-[^/-]+){3,4}\.whl")


class Gate:
    """A server for one command.

    Args:
        upstream: to the controller, by way of this side's server; one request at a time.

    Raises:
        OSError: there is no loopback to listen on.
    """

    def __init__(self, upstream: socket.socket) -> None:
        self._reader = wire.Reader(upstream)
        self._upstream = upstream
        self._asking = threading.Lock()
        self.wheels: set[tuple[str, str]] = set()
        """Name and version of each wheel that was asked for, the name as indexes compare it."""
        gate = self

        class Handler(_Handler):
            def __init__(self, *given: Any) -> None:
                self.gate = gate
                super().__init__(*given)

        self._server = _Server((_HOST, 0), Handler)
        self.port: int = self._server.server_address[1]

    def open(self) -> None:
        """Begins to answer. What connected before has waited."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Answers no more."""
        with contextlib.suppress(OSError):
            self._upstream.shutdown(socket.SHUT_RDWR)  # a request that is under way ends here
        self._server.shutdown()
        self._server.server_close()

    def ask(self, path: str, at: int) -> dict[str, Any]:
        """What the controller says to a request; status 502 where it says nothing."""
        with self._asking:
            try:
                self._upstream.sendall(wire.dump({"path": path, "at": at}))
                answer: dict[str, Any] | None = self._reader.receive()
            except (OSError, wire.WireError):
                answer = None
        if answer is None:
            return {"status": int(HTTPStatus.BAD_GATEWAY), "type": "text/plain", "total": 0,
                    "body": ""}  # fmt: skip
        return answer

    def note(self, path: str) -> None:
        """Remembers a wheel."""
        if found := _WHEEL.search(urllib.parse.unquote(path)):
            self.wheels.add((canonical(found[1]), found[2]))


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *given: Any) -> None:
        self._places = threading.Semaphore(_MOST_AT_ONCE)
        super().__init__(*given)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Takes no more at once than this side has threads to spare; the others wait."""
        self._places.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:  # there is no thread to be had
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Gives the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is nothing to tell."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    gate: Gate

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _begin(self, status: int, kind: str, total: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(total))
        self.send_header("Connection", "close")  # one that is kept would keep a place
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name elsewhere)
        """Says nothing."""

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        if path == WHEELS:
            listed = json.dumps(sorted(self.gate.wheels)).encode()
            self._begin(HTTPStatus.OK, "application/json", len(listed))
            self.wfile.write(listed)
            return
        if not path.startswith("/") or len(path) > _PATH_LIMIT:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        answer = self.gate.ask(path, 0)
        body = base64.b64decode(answer["body"])
        total = int(answer["total"])
        self._begin(int(answer["status"]), str(answer["type"]), total)
        if not with_body:
            return
        sent = 0
        while body:
            self.wfile.write(body)
            sent += len(body)
            if sent >= total:
                break
            body = base64.b64decode(self.gate.ask(path, sent)["body"])
        if sent >= total and int(answer["status"]) == HTTPStatus.OK:
            self.gate.note(path)


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
