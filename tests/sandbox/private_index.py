"""A private package index on the loopback: it wants a password, and has two projects."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

USER, PASSWORD = "bot", "s3cret-of-the-index"


def wheel(name: str, version: str = "1.0", needs: str = "") -> bytes:
    """A wheel of one module, which says its version."""
    folder = f"{name}-{version}.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        archive.writestr(
            f"{folder}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        )
        archive.writestr(
            f"{folder}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        record = (f"{name}.py", f"{folder}/METADATA", f"{folder}/WHEEL", f"{folder}/RECORD")
        archive.writestr(f"{folder}/RECORD", "".join(f"{file},,\n" for file in record))
    return buffer.getvalue()


class Index(http.server.BaseHTTPRequestHandler):
    """A private index: it wants a password, and has one project as JSON and one as HTML."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {
        "alpha_private-1.0-py3-none-any.whl": wheel("alpha_private", needs="beta-private"),
        "beta_private-2.0-py3-none-any.whl": wheel("beta_private", "2.0"),
    }
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        type(self).asked.append((self.path, self.headers.get("Authorization", "")))
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.path.startswith("/moved/"):
            self._give(302, "text/plain", b"", Location=self.path.replace("/moved/", "/simple/"))
        elif self.headers.get("Authorization") != f"Basic {expected}":
            self._give(401, "text/plain", b"who are you?")
        elif self.path == "/simple/alpha-private/":
            name = "alpha_private-1.0-py3-none-any.whl"
            digest = hashlib.sha256(self.files[name]).hexdigest()
            page = {
                "meta": {"api-version": "1.0"},
                "name": "alpha-private",
                "files": [
                    {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": digest},
                     "requires-python": ">=3.8", "yanked": False},
                    {"filename": "readme.txt", "url": "/files/readme.txt", "hashes": {}},
                ],
            }  # fmt: skip
            self._give(200, "application/vnd.pypi.simple.v1+json", json.dumps(page).encode())
        elif self.path == "/simple/beta-private/":
            page_text = (
                '<html><a href="/files/beta_private-2.0-py3-none-any.whl" '
                'data-requires-python="&gt;=3.8">beta</a>'
                '<a href="file:///etc/passwd.whl">no</a></html>'
            )
            self._give(200, "text/html; charset=utf-8", page_text.encode())
        elif self.path == "/simple/broken/":
            self._give(500, "text/plain", b"oh")
        elif self.path == "/simple/nonsense/":
            self._give(200, "application/vnd.pypi.simple.v1+json", b'{"files": 3}')
        elif self.path.startswith("/files/") and self.path[7:] in self.files:
            self._give(200, "application/zip", self.files[self.path[7:]])
        else:
            self._give(404, "text/plain", b"")

    def _give(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up was told to, by a test."""


@contextmanager
def private_index() -> Iterator[str]:
    """Host and port of a private index."""
    Index.asked.clear()
    server = _Server(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
