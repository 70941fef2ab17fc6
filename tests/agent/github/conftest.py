"""A loopback server that behaves like GitHub's interface, and real git repositories."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from pydantic import SecretStr

from agent.github.http import Api, Patience

TOKEN = "ghs_very_secret_indeed"
BOT = "github-actions[bot]"
Answer = tuple[int, Any, dict[str, str]]


class FakeGitHub:
    """Holds one repository, `octo/shop`; answers as the interface's documentation says.

    Attributes:
        faults: answers that are given instead, the first for the next request.
        log: method, path and body of each request, in order.
    """

    def __init__(self) -> None:
        self.faults: list[Answer] = []
        self.log: list[tuple[str, str, Any]] = []
        self.pulls: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.permissions = {"maintainer": "write", "reader": "read"}
        self.page_size = 100
        self.me: str | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                outer.log.append((self.command, unquote(self.path), body))
                reply: Answer = (401, {"message": "Bad credentials"}, {})
                if self.headers["Authorization"] == f"Bearer {TOKEN}" and outer.faults:
                    reply = outer.faults.pop(0)
                elif self.headers["Authorization"] == f"Bearer {TOKEN}":
                    reply = outer.route(self.command, self.path, body)
                status, data, headers = reply
                raw = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response_only(status)  # its date is the answer's own, if it has one
                for name, value in {**headers, "Content-Length": str(len(raw))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """As on GitHub Enterprise, below a path."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/api/v3"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def route(self, method: str, raw: str, body: Any) -> Answer:
        parts = urlsplit(raw)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = unquote(parts.path).removeprefix("/api/v3")
        if path == "/user":
            if self.me is None:
                return 403, {"message": "Resource not accessible by integration"}, {}
            return 200, {"login": self.me}, {}
        within = path.removeprefix("/repos/octo/shop")
        if within == path:
            return 404, {"message": "Not Found"}, {}
        for pattern, answer in (
            (r"/pulls", self._of_pulls),
            (r"/pulls/(\d+)", self._of_pull),
            (r"/issues", self._of_issues),
            (r"/issues/(\d+)/comments", self._of_comments),
            (r"/issues/(\d+)/labels", self._of_labels),
            (r"/collaborators/(.+)/permission", self._of_permission),
        ):
            found = re.fullmatch(pattern, within)
            if found:
                return answer(method, query, body, *found.groups())
        return 404, {"message": "Not Found"}, {}

    def pull(self, branch: str, base: str = "main", **more: Any) -> dict[str, Any]:
        """Adds a pull request."""
        number = 1 + len(self.pulls) + len(self.issues)
        repository = {"full_name": "octo/shop"}
        made = {
            "number": number,
            "state": "open",
            "html_url": f"https://github.example/octo/shop/pull/{number}",
            "head": {"ref": branch, "sha": "0" * 40, "repo": repository},
            "base": {"ref": base, "sha": "1" * 40, "repo": repository},
            "user": {"login": BOT},
            "labels": [],
            "merged_at": None,
            "body": None,
            **more,
        }
        self.pulls.append(made)
        return made

    def _of_pulls(self, method: str, query: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            if any(
                one["head"]["ref"] == body["head"] and one["state"] == "open" for one in self.pulls
            ):
                errors = [{"message": "A pull request already exists for octo:x."}]
                return 422, {"message": "Validation Failed", "errors": errors}, {}
            if len(body["body"]) > 65536:
                return 422, {"message": "body is too long (maximum is 65536 characters)"}, {}
            made = self.pull(body["head"], body["base"])
            made |= {"title": body["title"], "body": body["body"], "draft": body["draft"]}
            return 201, made, {}
        branch = query.get("head", ":").partition(":")[2]
        return self._page(query, [one for one in self.pulls if one["head"]["ref"] == branch])

    def _of_pull(self, method: str, _query: dict[str, str], body: Any, number: str) -> Answer:
        for one in self.pulls:
            if one["number"] == int(number):
                one |= body or {}
                return 200, one, {}
        return 404, {"message": "Not Found"}, {}

    def _of_issues(self, method: str, query: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            number = 1 + len(self.pulls) + len(self.issues)
            made = {"number": number, "user": {"login": BOT}, **body}
            self.issues.append(made)
            return 201, made, {}
        found = [
            one
            for one in self.issues
            if query["labels"] in one["labels"] and one["user"]["login"] == query["creator"]
        ]
        return self._page(query, found)

    def _of_comments(self, method: str, query: dict[str, str], body: Any, number: str) -> Answer:
        known = self.comments.setdefault(int(number), [])
        if method == "POST":
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            made = {"body": body["body"], "user": {"login": BOT}, "created_at": now}
            known.append(made)
            return 201, made, {}
        since = query.get("since", "")
        return self._page(query, [one for one in known if one["created_at"] >= since])

    def _of_labels(self, method: str, _query: dict[str, str], body: Any, number: str) -> Answer:
        for one in self.pulls:
            if one["number"] == int(number):
                one["labels"] += body["labels"]
                return 200, one["labels"], {}
        return 404, {"message": "Not Found"}, {}

    def _of_permission(self, _method: str, _query: dict[str, str], _body: Any, who: str) -> Answer:
        if who not in self.permissions:
            return 404, {"message": f"{who} is not a user"}, {}
        return 200, {"permission": self.permissions[who], "role_name": self.permissions[who]}, {}

    def _page(self, query: dict[str, str], items: list[Any]) -> Answer:
        page, size = int(query.get("page", "1")), self.page_size
        part = items[(page - 1) * size : page * size]
        headers: dict[str, str] = {}
        if page * size < len(items):
            words = "&".join(
                f"{name}={value}" for name, value in {**query, "page": page + 1}.items()
            )
            headers["Link"] = f'<{self.url}{self._last_path()}?{words}>; rel="next"'
        return 200, part, headers

    def _last_path(self) -> str:
        return urlsplit(self.log[-1][1]).path.removeprefix("/api/v3")


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    server = FakeGitHub()
    yield server
    server.close()


FAST = Patience(first=0.01, unsaid=0.01, longest=5.0, between_writes=0.0)


@pytest.fixture
def api(github: FakeGitHub) -> Iterator[Api]:
    with Api(token=SecretStr(TOKEN), url=github.url, patience=FAST) as opened:
        yield opened


def git(folder: Path, *words: str) -> str:
    """Runs git in a folder; returns what it prints."""
    return subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", *words],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one commit on main, pushed to a bare repository, `origin.git`, beside it."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "cart.py").write_text("def total(prices):\n    return max(prices)\n")
    (folder / "test_cart.py").write_text("import cart\n")
    (folder / "run.sh").write_text("true\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    git(folder, "push", "-q", str(tmp_path / "origin.git"), "main")
    return folder
