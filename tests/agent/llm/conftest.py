"""A loopback server that speaks raw bytes, to stop, stall and break off where a real one might."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body; an empty one ends the body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(payload: object) -> bytes:
    """One server-sent event in a chunked body."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return chunk(f"data: {text}\n\n".encode())


def delta(text: str, *, index: int = 0, finish: str | None = None) -> bytes:
    """A piece of an answer in OpenAI's spelling."""
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return event({"choices": [choice]})


def usage(tokens_in: int, tokens_out: int) -> bytes:
    """The event with the token counts."""
    counts = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}
    return event({"choices": [], "usage": counts})


END = event("[DONE]") + chunk(b"")


def answer(text: str) -> list[bytes]:
    """A whole good answer of 7 tokens in and 3 out."""
    return [SSE, delta(text), delta("", finish="stop"), usage(7, 3), END]


def status(code: int, body: object = "", *, headers: str = "") -> list[bytes]:
    """An answer by HTTP status."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, str) else "application/json"
    head = f"HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{headers}"
    return [head.encode() + b"\r\n" + data]


class RawServer:
    """Answers each request with the next script; the last script is used again and again.

    A script is a list of bytes to send; `"hold"` waits until the client has gone.
    """

    def __init__(self) -> None:
        self.scripts: list[list[bytes | str]] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.client_gone = threading.Event()
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The base URL for an OpenAI client."""
        return f"http://127.0.0.1:{self.port}/v1"

    def play(self, *scripts: list[Any]) -> None:
        """Sets what is answered from now on."""
        self.scripts = list(scripts)

    def close(self) -> None:
        """Stops listening."""
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    return
                data += piece
            head, _, body = data.partition(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            while len(body) < length:
                body += connection.recv(65536)
            with self._lock:
                self.headers.append(head.decode())
                self.requests.append(json.loads(body or b"{}"))
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
            try:
                for piece_ in script:
                    if isinstance(piece_, bytes):
                        connection.sendall(piece_)
                    elif not connection.recv(1):
                        self.client_gone.set()
            except OSError:
                self.client_gone.set()


@pytest.fixture
def wire() -> SimpleNamespace:
    """The functions above that spell out answers, for test files to use."""
    spell = (chunk, event, delta, usage, answer, status)
    return SimpleNamespace(SSE=SSE, END=END, **{f.__name__: f for f in spell})


@pytest.fixture
def raw_server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_keys_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
