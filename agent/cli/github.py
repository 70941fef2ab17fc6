"""`regreen github`: what the jobs around a repair ask of GitHub; the repair holds no token."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from agent.cli import options
from agent.cli.exits import Exit, OutputError, UsageError
from agent.cli.interrupt import ending
from agent.cli.output import clean, emit, emit_json
from agent.fix.outputs.base import Story
from agent.github.http import PUBLIC_URL, Api
from agent.github.limits import Limits, check
from agent.github.propose import Job, labels_of, propose
from agent.github.push import Checkout
from agent.github.repository import Repository

_MOST_BYTES = 16 * 1024 * 1024

app = typer.Typer(
    help="Limits and pull requests of `regreen fix` on GitHub. The token is GITHUB_TOKEN's.",
    no_args_is_help=True,
)

RepositoryName = Annotated[
    str | None,
    typer.Option("--repository", help="OWNER/NAME; default: GITHUB_REPOSITORY.", metavar="NAME"),
]
Author = Annotated[
    str,
    typer.Option(help="Login that the token acts as; default: asked for, or Actions' bot."),
]
Branch = Annotated[str, typer.Option(help="Branch whose tests fail.", metavar="NAME")]


@app.command("check")
@ending
def check_limits(
    *,
    branch: Branch = "",
    pull_request: Annotated[
        int | None, typer.Option(min=1, help="Pull request to mend, in place of a branch.")
    ] = None,
    actor: Annotated[
        str, typer.Option(help="Who asks for it; has to have write access.", metavar="LOGIN")
    ] = "",
    max_attempts: Annotated[int, typer.Option(min=0, help="Repairs of one branch in a month.")] = 5,
    max_month_cost: Annotated[
        float, typer.Option(min=0, help="Dollars of the repository in a month.")
    ] = 20.0,
    max_run_cost: Annotated[
        float, typer.Option(min=0.0001, help="Dollars of one repair, if the month has them left.")
    ] = 2.0,
    repository: RepositoryName = None,
    author: Author = "",
    as_json: options.AsJson = False,
) -> int:
    """Say whether a repair may be tried: exit code 0 if so, 1 if not."""
    if not branch and pull_request is None:
        raise UsageError("give --branch or --pull-request")
    with _api() as api:
        decision = check(
            Repository(api, _name(repository), author=author),
            branch=branch,
            pull_request=pull_request,
            actor=actor,
            limits=Limits(attempts=max_attempts, month_cost=max_month_cost, run_cost=max_run_cost),
            now=datetime.now(UTC),
        )
    _put_outputs(
        {
            "allowed": "true" if decision.allowed else "false",
            "allowance": f"{decision.allowance:.4f}",
            "branch": decision.branch,
            "commit": decision.commit,
        }
    )
    if as_json:
        emit_json(decision.model_dump(mode="json"))
    else:
        emit(f"{'allowed' if decision.allowed else 'not allowed'}: {clean(decision.reason)}")
    return Exit.VERIFIED if decision.allowed else Exit.NOT_VERIFIED


@app.command("propose")
@ending
def propose_patch(
    *,
    story: Annotated[
        Path,
        typer.Option(help="What `fix --write story=FILE` wrote; counts as lost if absent."),
    ],
    branch: Branch,
    commit: Annotated[str, typer.Option(help="Commit at which they failed.", metavar="HASH")],
    checkout: Annotated[
        Path, typer.Option(help="A clone with that commit; nothing in it is changed.")
    ] = Path(),
    directory: Annotated[
        str, typer.Option(help="The repository's folder in the clone, if not its top.")
    ] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="Of the pull request; default: regreen.")
    ] = None,
    draft: Annotated[bool, typer.Option("--draft/--no-draft", help="Make it a draft.")] = True,
    allowance: Annotated[
        float, typer.Option(min=0, help="Dollars to count for a repair that left no result.")
    ] = 0.0,
    comment_on: Annotated[
        int, typer.Option(min=0, help="Pull request where the outcome is told; 0 for none.")
    ] = 0,
    remote: Annotated[
        str | None,
        typer.Option(help="Where to push; default: the repository at GITHUB_SERVER_URL."),
    ] = None,
    repository: RepositoryName = None,
    author: Author = "",
    as_json: options.AsJson = False,
) -> int:
    """Note a repair, and push its patch as a draft pull request: one for each failure."""
    name = _name(repository)
    server = os.environ.get("GITHUB_SERVER_URL") or "https://github.com"
    job = Job(
        branch=branch,
        commit=commit,
        directory=directory.strip("/"),
        labels=labels_of(label if label else ("regreen",)),
        draft=draft,
        allowance=allowance,
        comment_on=comment_on,
    )
    told, unread = _read_story(story)
    with _api() as api:
        found = propose(
            Repository(api, name, author=author),
            Checkout(
                folder=checkout, remote=remote or f"{server.rstrip('/')}/{name}.git", token=_token()
            ),
            told,
            job,
            now=datetime.now(UTC),
        )
    _put_outputs(
        {
            "state": found.state,
            "number": str(found.number or ""),
            "signature": found.signature,
        }
    )
    if unread:  # it counts as lost, and is a mistake all the same
        raise UsageError(unread)
    if as_json:
        emit_json(found.model_dump(mode="json"))
    else:
        emit(
            f"{found.state}: {clean(found.reason)}" + (f" {clean(found.url)}" if found.url else "")
        )
    return Exit.VERIFIED


def _api() -> Api:
    return Api(token=_token(), url=os.environ.get("GITHUB_API_URL") or PUBLIC_URL)


def _token() -> SecretStr:
    return SecretStr(os.environ.get("GITHUB_TOKEN", ""))


def _name(given: str | None) -> str:
    name = given or os.environ.get("GITHUB_REPOSITORY", "")
    if not name:
        raise UsageError("which repository? Give --repository OWNER/NAME, or GITHUB_REPOSITORY")
    return name


def _read_story(path: Path) -> tuple[Story | None, str]:
    """What another job wrote, which may have had a stranger's code run beside it.

    Returns:
        The story, if there is one; and what is wrong with what is there instead.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"can't read {path}: {error.strerror}"
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError("too large")
        return Story.model_validate(json.loads(data)), ""
    except (ValueError, RecursionError):  # of pydantic, too
        return None, f"{path} is nothing that `regreen fix --write story=FILE` wrote"


def _put_outputs(values: Mapping[str, str]) -> None:
    """The step's outputs, if this is a step: each one line, whatever a branch is called."""
    path = os.environ.get("GITHUB_OUTPUT", "")
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8") as file:
            for name, value in values.items():
                file.write(f"{name}={' '.join(clean(value).split())}\n")
    except OSError as error:
        raise OutputError(f"can't write {path}: {error.strerror}") from None
