"""Requests to GitHub's REST interface: limits waited for, pages followed, errors in one line.

Source of the rules: GitHub, "Rate limits for the REST API" and "Best practices for using the REST
API" (version 2022-11-28): one request at a time, a pause between writes, `retry-after`, then
`x-ratelimit-reset`, else a minute that doubles.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx
import stamina
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from agent.github.errors import (
    GitHubConfigError,
    GitHubError,
    GitHubRefusedError,
    GitHubUnavailableError,
)
from agent.llm.redaction import one_line
from agent.llm.transport import is_loopback

PUBLIC_URL = "https://api.github.com"
_VERSION = "2022-11-28"
_MOST_PAGES = 50
_READS = frozenset({"GET"})
_REPEATABLE = frozenset({"GET", "PUT", "PATCH", "DELETE"})
"""Asked again after a fault of the server; a POST might have been carried out already."""


class Patience(BaseModel):
    """How long to wait for what; in seconds.

    Attributes:
        attempts: tries of one request, the first included.
        first: pause before the second try after a fault; doubles from try to try.
        unsaid: pause after a limit of which the server doesn't say how long it lasts; doubles.
        longest: a pause beyond this is an error instead.
        between_writes: at the least between two requests that change something.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(default=4, ge=1)
    first: float = Field(default=1.0, ge=0)
    unsaid: float = Field(default=60.0, ge=0)
    longest: float = Field(default=300.0, ge=0)
    between_writes: float = Field(default=1.0, ge=0)


class _TryAgainError(Exception):
    """A fault that may pass, and the pause that was asked for; `None` leaves it to us."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Api:
    """An open connection; use it in a `with` block.

    Args:
        token: that is sent along; never shown.
        url: of the interface; GitHub Enterprise has it at `https://HOST/api/v3`.
        patience: how long to wait for what.

    Raises:
        GitHubConfigError: no token, or the address is no https address.
    """

    def __init__(
        self, *, token: SecretStr, url: str = PUBLIC_URL, patience: Patience | None = None
    ) -> None:
        self._token, self._patience = token, patience or Patience()
        self._url = _checked(url)
        if not token.get_secret_value():
            raise GitHubConfigError("no token: set GITHUB_TOKEN")
        self._last_write = float("-inf")
        self._client = httpx.Client(
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {token.get_secret_value()}",
                "User-Agent": "regreen",
                "X-GitHub-Api-Version": _VERSION,
            },
            timeout=30.0,
            verify=ssl.create_default_context(),
        )

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, path: str, **query: str) -> Any:
        """What is at a path, below the interface's address.

        Raises:
            GitHubError: it can't be had.
        """
        return _json(self._ask("GET", f"{self._url}{path}", query=query))

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        """The items of a list, page by page.

        Raises:
            GitHubError: a page can't be had, or there is no end to them.
        """
        url, words = f"{self._url}{path}", {"per_page": "100", **query}
        for _ in range(_MOST_PAGES):
            response = self._ask("GET", url, query=words)
            found = _json(response)
            if not isinstance(found, list):
                raise GitHubUnavailableError(f"GET {path}: a list was expected")
            yield from found
            url, words = response.links.get("next", {}).get("url", ""), {}
            if not url:
                return
            if _origin(url) != _origin(self._url):  # the token is for this server only
                raise GitHubUnavailableError(f"GET {path}: the next page is on another server")
        raise GitHubUnavailableError(f"GET {path}: more than {_MOST_PAGES} pages")

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """Changes something, and returns what the server says of it.

        Raises:
            GitHubError: it was not done, as far as we know.
        """
        return _json(self._ask(method, f"{self._url}{path}", body=body))

    def _ask(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        patience, tries = self._patience, 0

        def pause(error: Exception) -> bool | float:
            if not isinstance(error, _TryAgainError):
                return False
            return True if error.wait is None else error.wait

        try:
            for attempt in stamina.retry_context(
                on=pause,
                attempts=patience.attempts,
                timeout=None,
                wait_initial=patience.first,
                wait_max=patience.longest,
                wait_jitter=min(1.0, patience.first),
            ):
                with attempt:
                    tries += 1
                    return self._once(method, url, query or {}, body, tries)
        except _TryAgainError as error:
            raise GitHubUnavailableError(f"{error} (tried {tries} times)") from None
        raise AssertionError("unreachable: the last failed try raises")

    def _once(
        self,
        method: str,
        url: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        tries: int,
    ) -> httpx.Response:
        shown = f"{method} {urlsplit(url).path}"
        if method not in _READS:
            rest = self._last_write + self._patience.between_writes - time.monotonic()
            time.sleep(max(0.0, rest))
        try:
            response = self._client.request(
                method,
                url,
                params=query or None,
                json=body,
                follow_redirects=method in _READS,
            )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            told = f"{shown}: no answer ({self._clean(str(error)) or type(error).__name__})"
            sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            if sent and method not in _REPEATABLE:
                raise GitHubUnavailableError(f"{told}; it may have been done") from None
            raise _TryAgainError(told) from None
        finally:
            if method not in _READS:
                self._last_write = time.monotonic()
        if not response.is_success:
            raise self._fault(shown, method, response, tries)
        return response

    def _fault(self, shown: str, method: str, response: httpx.Response, tries: int) -> Exception:
        status, said = response.status_code, self._words(response)
        wait = _limited(response, said, self._patience.unsaid * 2 ** (tries - 1))
        if wait is not None:
            told = f"{shown}: GitHub's limit on requests is reached ({status}){said}"
            if wait > self._patience.longest:
                return GitHubUnavailableError(f"{told}; it lasts for {wait:.0f} s more")
            return _TryAgainError(told, wait)
        if status >= 500:
            told = f"{shown}: the server fails ({status}){said}"
            again = method in _REPEATABLE
            return _TryAgainError(told) if again else GitHubUnavailableError(told)
        return _refused(shown, status, said)

    def _words(self, response: httpx.Response) -> str:
        """The server's own words, as the end of a line."""
        try:
            body = response.json()
        except ValueError:
            body = {}
        if not isinstance(body, dict):
            return ""
        told = [str(body.get("message", ""))]
        for one in body.get("errors", []) if isinstance(body.get("errors"), list) else []:
            named = one.get("message") or one.get("code") if isinstance(one, dict) else one
            told.append(str(named or ""))
        said = self._clean("; ".join(filter(None, told)))
        return f": {said}" if said else ""

    def _clean(self, text: str) -> str:
        return one_line(text, secrets=(self._token,))


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not host or not secure or parts.username or parts.password or parts.query or parts.fragment:
        shown = repr(url) if "@" not in url else "(not shown)"
        raise GitHubConfigError(
            f"GITHUB_API_URL {shown} is no address of GitHub's interface: write https://HOST/api/v3"
        )
    return url.rstrip("/")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _limited(response: httpx.Response, said: str, unsaid: float) -> float | None:
    """Seconds until a limit is over; `None` if the response is about no limit."""
    if response.status_code not in (403, 429):
        return None
    headers = response.headers
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return max(0.0, float(reset) - _now(headers)) + 1.0
    return unsaid if response.status_code == 429 or "rate limit" in said.lower() else None


def _now(headers: httpx.Headers) -> float:
    """The server's clock, by which it says when a limit ends; ours may be off."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return time.time()


def _refused(shown: str, status: int, said: str) -> GitHubError:
    if status == 401:
        return GitHubConfigError(f"{shown}: GitHub refuses the token (401){said}")
    if status == 403:
        return GitHubConfigError(
            f"{shown}: the token may not do this (403){said}; see docs/ci.md for what it needs"
        )
    if 300 <= status < 400:
        return GitHubConfigError(f"{shown}: it has moved ({status}): use the repository's new name")
    return GitHubRefusedError(f"{shown}: refused ({status}){said}", status=status)


def _json(response: httpx.Response) -> Any:
    if response.status_code == 204 or not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        raise GitHubUnavailableError(
            f"{response.request.method} {response.url.path}: the answer is no JSON"
        ) from None
