"""Requests to GitHub: limits, faults, pages, and no token anywhere."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest
from pydantic import SecretStr

from agent.github.errors import (
    GitHubConfigError,
    GitHubError,
    GitHubRefusedError,
    GitHubUnavailableError,
)
from agent.github.http import Api, Patience

TOKEN = "ghs_very_secret_indeed"
FINE: tuple[int, Any, dict[str, str]] = (200, {"fine": True}, {})


def limited(**headers: str) -> tuple[int, Any, dict[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return 403, {"message": "You have exceeded a secondary rate limit"}, named


def primary(seconds: float) -> tuple[int, Any, dict[str, str]]:
    """A limit by a clock that is a day ahead of ours."""
    now = time.time() + 86400
    reset = str(int(now + seconds))
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset, "Date": formatdate(now)}
    return 429, {"message": "API rate limit exceeded"}, headers


@pytest.mark.parametrize(
    ("fault", "least", "most"),
    [
        (limited(retry_after="1"), 1.0, 2.5),
        (primary(0.0), 0.9, 2.9),
        (limited(), 0.0, 0.9),
        ((502, b"<html>bad gateway</html>", {}), 0.0, 0.9),
    ],
    ids=["retry-after", "reset", "unsaid", "fault"],
)
def test_what_passes_is_waited_for(
    github: Any, api: Api, fault: Any, least: float, most: float
) -> None:
    github.faults = [fault, FINE]
    began = time.monotonic()
    assert api.get("/x") == {"fine": True}
    assert least <= time.monotonic() - began <= most
    assert len(github.log) == 2


@pytest.mark.parametrize(
    ("faults", "kind", "said", "asked"),
    [
        ([limited(retry_after="3600")], GitHubUnavailableError, "it lasts for 3600 s more", 1),
        ([primary(900)], GitHubUnavailableError, "limit on requests is reached (429)", 1),
        ([limited()] * 4, GitHubUnavailableError, "(tried 4 times)", 4),
        ([(500, b"", {})] * 4, GitHubUnavailableError, "the server fails (500)", 4),
        ([(401, {"message": "Bad credentials"}, {})], GitHubConfigError, "refuses the token", 1),
        ([(403, {"message": "Resource not accessible"}, {})], GitHubConfigError, "may not do", 1),
        ([(404, {"message": "Not Found"}, {})], GitHubRefusedError, "refused (404): Not Found", 1),
        (
            [(422, {"message": "Failed", "errors": [{"message": "no\n\x1b[1mhead"}]}, {})],
            GitHubRefusedError,
            "(422): Failed; no [1mhead",
            1,
        ),
        ([(200, b"<html>", {})], GitHubUnavailableError, "the answer is no JSON", 1),
        ([(418, [TOKEN], {})], GitHubRefusedError, "refused (418)", 1),
        ([(400, {"message": f"token {TOKEN}"}, {})], GitHubRefusedError, "token ***", 1),
    ],
)
def test_what_does_not_pass_is_one_line_without_the_token(
    github: Any, api: Api, faults: Any, kind: type[GitHubError], said: str, asked: int
) -> None:
    github.faults = list(faults)
    with pytest.raises(kind) as caught:
        api.get("/x")
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert "\x1b" not in message
    assert TOKEN not in message + repr(api.__dict__)
    assert len(github.log) == asked


def test_a_post_is_not_repeated_after_a_fault_but_after_a_limit(github: Any, api: Api) -> None:
    github.faults = [limited(retry_after="0"), FINE]
    assert api.send("POST", "/x", {"a": 1}) == {"fine": True}
    github.faults = [(502, b"", {}), FINE]
    with pytest.raises(GitHubUnavailableError, match="the server fails"):
        api.send("POST", "/x", {"a": 2})
    assert [body for _, _, body in github.log] == [{"a": 1}, {"a": 1}, {"a": 2}]


def test_pages_are_followed_on_the_same_server_only(github: Any, api: Api) -> None:
    for number in range(7):
        github.pull("b", body=str(number))
    github.page_size = 3
    assert len(list(api.pages("/repos/octo/shop/pulls", head="octo:b"))) == 7
    assert len(github.log) == 3
    away = {"Link": '<http://127.0.0.2:9/x>; rel="next"'}
    github.faults = [(200, [], away)]
    with pytest.raises(GitHubUnavailableError, match="on another server"):
        list(api.pages("/x"))


def test_writes_have_a_pause_between_them(github: Any) -> None:
    patience = Patience(between_writes=0.3)
    with Api(token=SecretStr(TOKEN), url=github.url, patience=patience) as api:
        github.faults = [FINE] * 3
        began = time.monotonic()
        api.get("/x")
        api.send("POST", "/x", {})
        assert time.monotonic() - began < 0.3
        api.send("PATCH", "/x", {})
        assert time.monotonic() - began >= 0.3


def test_a_server_that_is_not_there() -> None:
    patience = Patience(attempts=2, first=0.01)
    with Api(token=SecretStr(TOKEN), url="http://127.0.0.1:9", patience=patience) as api:
        with pytest.raises(GitHubUnavailableError, match=r"GET /x: no answer .*\(tried 2 times\)"):
            api.get("/x")


@pytest.mark.parametrize(
    "url",
    ["http://github.example", "github.example", "https://me:pw@github.example", "https://", "ftp://x",
     "https://github.example/?a=b", "https://github.example:port"],
)  # fmt: skip
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(GitHubConfigError, match="is no address") as caught:
        Api(token=SecretStr(TOKEN), url=url)
    assert "pw" not in str(caught.value)


def test_no_token() -> None:
    with pytest.raises(GitHubConfigError, match="set GITHUB_TOKEN"):
        Api(token=SecretStr(""))
