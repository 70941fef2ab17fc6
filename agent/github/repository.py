"""One repository on GitHub: its pull requests, and the issue in which attempts are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from agent.github.errors import GitHubError, GitHubRefusedError, GitHubUnavailableError
from agent.github.http import Api
from agent.github.marker import Attempt, read_marker, same_month, write_marker
from agent.github.signature import check_repository

ACTIONS_LOGIN = "github-actions[bot]"
"""Who acts with the token that a job of GitHub Actions gets."""
LEDGER_LABEL = "regreen-ledger"
_LEDGER_TITLE = "Regreen: what was tried"
_LEDGER_BODY = (
    "Each comment below is one repair that was tried; their sums are the limits on branches and"
    " on money. Closing this issue changes nothing, deleting comments lifts limits."
)
_MAY_PUSH = frozenset({"admin", "maintain", "write"})

Model = TypeVar("Model", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class User(_Part):
    """An account; `None` stands for one that was deleted."""

    login: str


class RepositoryName(_Part):
    """A repository, by its name as `OWNER/NAME`."""

    full_name: str


class Side(_Part):
    """A branch of a pull request; its repository is `None` if that was deleted."""

    ref: str
    sha: str
    repo: RepositoryName | None = None


class PullRequest(_Part):
    """A pull request, as far as we look at it."""

    number: int
    state: str
    html_url: str
    head: Side
    base: Side
    user: User | None = None
    body: str | None = None
    merged_at: datetime | None = None


class Issue(_Part):
    """An issue, or a pull request seen as one."""

    number: int
    user: User | None = None


class Comment(_Part):
    """A comment of an issue."""

    body: str | None = None
    user: User | None = None
    created_at: AwareDatetime


class Permission(_Part):
    """What somebody may do; `role_name` is the finer word for it."""

    permission: str
    role_name: str = ""


class Repository:
    """What is asked of one repository.

    Args:
        api: an open connection.
        name: `OWNER/NAME`.
        author: who we are; notes of others are not believed. Default: whoever the token is of,
            or the bot of GitHub Actions.

    Raises:
        GitHubConfigError: the name is none.
    """

    def __init__(self, api: Api, name: str, *, author: str = "") -> None:
        self.name = check_repository(name)
        self._api, self._path, self._author = api, f"/repos/{name}", author

    @property
    def author(self) -> str:
        """Our own login."""
        if not self._author:
            try:
                self._author = _read(User, self._api.get("/user")).login
            except GitHubUnavailableError:
                raise
            except GitHubError:  # a token of GitHub Actions is nobody's
                self._author = ACTIONS_LOGIN
        return self._author

    def pull_requests(self, branch: str) -> list[PullRequest]:
        """All pull requests, open or not, of a branch of this repository; the newest first."""
        owner = self.name.partition("/")[0]
        found = self._api.pages(f"{self._path}/pulls", state="all", head=f"{owner}:{branch}")
        return sorted((_read(PullRequest, one) for one in found), key=lambda one: -one.number)

    def pull_request(self, number: int) -> PullRequest:
        """One pull request."""
        return _read(PullRequest, self._api.get(f"{self._path}/pulls/{number}"))

    def open_pull_request(
        self, *, title: str, body: str, branch: str, base: str, draft: bool
    ) -> PullRequest:
        """Makes one.

        Args:
            title: in a line.
            body: Markdown, of 65,536 characters at the most.
            branch: that it asks to merge; it is there already.
            base: into which.
            draft: whether it is one; not every plan has drafts.
        """
        body_of_request = {
            "title": title, "body": body, "head": branch, "base": base, "draft": draft,
            "maintainer_can_modify": False,
        }  # fmt: skip
        return _read(PullRequest, self._api.send("POST", f"{self._path}/pulls", body_of_request))

    def change_pull_request(self, number: int, *, title: str, body: str) -> None:
        """Gives it another title and body."""
        changes = {"title": title, "body": body}
        self._api.send("PATCH", f"{self._path}/pulls/{number}", changes)

    def label(self, number: int, labels: Sequence[str]) -> None:
        """Adds labels; those that don't exist are made."""
        if labels:
            path = f"{self._path}/issues/{number}/labels"
            self._api.send("POST", path, {"labels": list(labels)})

    def comment(self, number: int, body: str) -> None:
        """Writes a comment."""
        self._api.send("POST", f"{self._path}/issues/{number}/comments", {"body": body})

    def may_push(self, login: str) -> bool:
        """Whether somebody may write to the repository; a stranger or a bot may not."""
        path = f"{self._path}/collaborators/{quote(login, safe='')}/permission"
        try:
            found = _read(Permission, self._api.get(path))
        except GitHubRefusedError as error:
            if error.status == 404:
                return False
            raise
        return bool({found.permission, found.role_name} & _MAY_PUSH)

    def attempts(self, now: datetime) -> list[Attempt]:
        """The repairs that were tried in a time's month, by what we have noted ourselves."""
        ledger = self._ledger()
        if ledger is None:
            return []
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        since = first.strftime("%Y-%m-%dT%H:%M:%SZ")
        found: list[Attempt] = []
        for raw in self._api.pages(f"{self._path}/issues/{ledger}/comments", since=since):
            comment = _read(Comment, raw)
            ours = comment.user is not None and comment.user.login == self.author
            attempt = read_marker(comment.body or "") if ours else None
            if attempt is not None and same_month(now, comment.created_at):
                found.append(attempt)
        return found

    def note(self, attempt: Attempt, told: str) -> None:
        """Keeps an attempt, as a comment: two at a time don't overwrite each other.

        Args:
            attempt: what the limits count.
            told: the same for people, as Markdown.
        """
        ledger = self._ledger()
        if ledger is None:
            made = {"title": _LEDGER_TITLE, "body": _LEDGER_BODY, "labels": [LEDGER_LABEL]}
            ledger = _read(Issue, self._api.send("POST", f"{self._path}/issues", made)).number
        self.comment(ledger, f"{write_marker(attempt)}\n{told}")

    def _ledger(self) -> int | None:
        """The number of the oldest issue of ours that attempts are kept in."""
        found = self._api.pages(
            f"{self._path}/issues", state="all", labels=LEDGER_LABEL, creator=self.author
        )
        issues = [_read(Issue, one) for one in found]
        ours = [one.number for one in issues if one.user and one.user.login == self.author]
        return min(ours, default=None)


def _read(kind: type[Model], data: Any) -> Model:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise GitHubUnavailableError(
            f"GitHub's answer is no {kind.__name__} ({place or 'its form'} is not as expected)"
        ) from None
