"""Limits: who may ask, how often a branch is repaired, and what a month may cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.github.errors import GitHubConfigError, GitHubUnavailableError
from agent.github.http import Api
from agent.github.limits import Decision, Limits, check
from agent.github.marker import Attempt, read_marker, write_marker
from agent.github.repository import Repository
from agent.github.signature import branch_name, signature

NOW = datetime.now(UTC)
LIMITS = Limits(attempts=2, month_cost=1.0, run_cost=0.8)


def attempt(**more: Any) -> Attempt:
    return Attempt.model_validate({"at": NOW, "branch": "main", "status": "fixed", **more})


def asked(repository: Repository, **more: Any) -> Decision:
    words: dict[str, Any] = {"branch": "main", "pull_request": None, "actor": "", "now": NOW}
    return check(repository, **{**words, "limits": LIMITS, **more})


def test_attempts_and_money_are_counted_by_our_own_notes_of_this_month(
    github: Any, api: Api
) -> None:
    repository = Repository(api, "octo/shop")
    first = asked(repository)
    assert (first.allowed, first.allowance) == (True, 0.8)
    repository.note(attempt(cost=0.25), "one")
    repository.note(attempt(branch="other", cost=0.5), "two")
    assert len(github.issues) == 1
    (known,) = github.comments.values()
    last_month = (NOW.replace(day=1) - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    known.append({**known[0], "created_at": last_month})
    known.append({**known[0], "user": {"login": "stranger"}})
    known.append({**known[0], "body": "quoted:\n" + known[0]["body"]})
    second = asked(repository)
    assert (second.allowed, second.attempts, second.allowance) == (True, 1, 0.25)
    repository.note(attempt(cost=0.1), "three")
    third = asked(repository)
    assert (third.allowed, third.reason[:10]) == (False, "2 repairs ")
    repository.note(attempt(branch="other", cost=0.4), "four")
    fourth = asked(repository, branch="new")
    assert (fourth.allowed, fourth.allowance) == (False, 0.0)
    assert fourth.reason == "$1.25 were spent this month; $1.00 may be"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"actor": "reader"}, "may not push"),
        ({"actor": "nobody/../maintainer"}, "may not push"),
        ({"branch": "regreen/0123"}, "one of Regreen's own"),
        ({"pull_request": 1}, "in a fork"),
        ({"pull_request": 2}, "in a fork"),
        ({"pull_request": 3}, "is closed"),
        ({"pull_request": 4, "actor": "reader"}, "may not push"),
    ],
)
def test_who_and_what_is_refused(github: Any, api: Api, words: Any, said: str) -> None:
    side = {"ref": "x", "sha": "a" * 40}
    github.pull("x", head={**side, "repo": {"full_name": "stranger/shop"}})
    github.pull("x", head={**side, "repo": None})
    github.pull("x", state="closed")
    github.pull("x")
    decision = asked(Repository(api, "octo/shop"), **words)
    assert not decision.allowed
    assert said in decision.reason


def test_a_pull_request_of_the_repository_itself_is_mended_at_its_head(
    github: Any, api: Api
) -> None:
    github.pull("feature")
    decision = asked(Repository(api, "Octo/shop".lower()), pull_request=1, actor="maintainer")
    assert (decision.allowed, decision.branch, decision.commit) == (True, "feature", "0" * 40)


def test_who_we_are(github: Any, api: Api) -> None:
    assert Repository(api, "octo/shop").author == "github-actions[bot]"
    assert Repository(api, "octo/shop", author="me").author == "me"
    github.me = "machine-user"
    assert Repository(api, "octo/shop").author == "machine-user"


@pytest.mark.parametrize("name", ["", "shop", "a/b/c", "a/..", "../x", "a b/c", "a/b\n"])
def test_a_repository_name_that_is_none(api: Api, name: str) -> None:
    with pytest.raises(GitHubConfigError, match="is no repository"):
        Repository(api, name)


def test_an_answer_of_another_form(github: Any, api: Api) -> None:
    github.faults = [(200, {"number": "many"}, {})]
    with pytest.raises(GitHubUnavailableError, match="is no PullRequest"):
        Repository(api, "octo/shop").pull_request(1)


@given(branch=st.text(max_size=300), cost=st.floats(0, 1e9))
def test_a_note_reads_back_whatever_a_branch_is_called(branch: str, cost: float) -> None:
    note = write_marker(attempt(branch=branch, cost=cost))
    assert note.count("-->") == 1
    assert "\n" not in note
    found = read_marker(f"{note}\nmore")
    assert found is not None
    assert (found.branch, found.cost) == (branch, cost)
    assert read_marker(f" {note}") is None


@pytest.mark.parametrize("body", ["", "<!-- regreen {} -->", "<!-- regreen {not json} -->"])
def test_what_is_no_note(body: str) -> None:
    assert read_marker(body) is None


def test_a_signature_is_of_the_set_of_tests_and_the_repository() -> None:
    one = signature("Octo/Shop", ["b", "a", "a"])
    assert one == signature("octo/shop", ["a", "b"])
    assert len({one, signature("octo/shop", ["a"]), signature("octo/other", ["a", "b"])}) == 3
    assert signature("o/s", ["ab", "c"]) != signature("o/s", ["a", "bc"])
    assert branch_name(one) == f"regreen/{one}"
