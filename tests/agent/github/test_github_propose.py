"""From a repair to a draft pull request: real git, and one pull request for each failure."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent.cli import commands
from agent.cli.errors import known_error
from agent.cli.exits import Exit
from agent.fix.outputs import files
from agent.fix.outputs.base import Story
from agent.fix.report import FixReport, FixStatus
from agent.fix.targets import Targets
from agent.github.errors import GitHubConfigError, GitHubRefusedError
from agent.github.http import Api
from agent.github.propose import Job, Proposal, propose
from agent.github.push import Checkout
from agent.github.repository import Repository

TOKEN = "ghs_very_secret_indeed"
NOW = datetime.now(UTC)
BRANCH = "regreen/0123456789abcdef"


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", *words],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip


def diff(path: str = "cart.py", new: str = "sum(prices)") -> str:
    return (
        f"--- a/{path}\n+++ b/{path}\n@@ -1,2 +1,2 @@\n def total(prices):\n"
        f"-    return max(prices)\n+    return {new}\n"
    )


def story(**more: Any) -> Story:
    name = "test_cart.py::test_some"
    fields = {
        "status": FixStatus.FIXED, "reason": "1 failing test passes now", "diff": diff(),
        "files": ("cart.py",), "fixed": (name,), "confidence": "plausible", "cost": 0.5,
        "message": "Fix total in cart.py\n\nMakes pass:\n- @octo/team [skip ci]",
    }  # fmt: skip
    report = FixReport.model_validate({**fields, **more})
    return Story(report=report, targets=Targets(failing={name: "@octo E assert 3 == 5"}))


@pytest.fixture
def checkout(clone: Path) -> Checkout:
    remote = str(clone.parent / "origin.git")
    return Checkout(folder=clone, remote=remote, token=SecretStr(TOKEN))


def job(checkout: Checkout, **more: Any) -> Job:
    commit = git(checkout.folder, "rev-parse", "main")
    return Job.model_validate({"branch": "main", "commit": commit, **more})


def test_a_patch_for_a_part_of_the_failures_says_what_it_leaves(
    github: Any, api: Api, checkout: Checkout
) -> None:
    told = story(
        status=FixStatus.PARTLY_FIXED, reason="1 of 2 failing tests pass now",
        still_failing=("test_label.py::test_@octo",),
    )  # fmt: skip
    found = propose(Repository(api, "octo/shop"), checkout, told, job(checkout), now=NOW)
    assert found.state == "opened"
    (pull,) = github.pulls
    assert "1 of 2 failing tests pass now" in pull["body"]
    assert "These fail as before" in pull["body"]
    assert "test_@octo" not in pull["body"].replace("`test_label.py::test_@octo`", "")


def test_one_pull_request_for_each_failure(github: Any, api: Api, checkout: Checkout) -> None:
    repository = Repository(api, "octo/shop")
    origin = checkout.folder.parent / "origin.git"

    def go(told: Story | None, **more: Any) -> Proposal:
        return propose(repository, checkout, told, job(checkout, allowance=2.0, **more), now=NOW)

    first = go(story())
    assert first.state == "opened"
    (pull,) = github.pulls
    assert (pull["draft"], pull["labels"], pull["base"]["ref"]) == (True, ["regreen"], "main")
    assert pull["head"]["ref"] == f"regreen/{first.signature}"
    assert pull["title"] == "Fix total in cart.py"
    assert "return sum(prices)" in pull["body"]
    branch = pull["head"]["ref"]
    assert "sum(prices)" in git(origin, "show", f"{branch}:cart.py")
    message = git(origin, "log", "-1", "--format=%B", branch)
    assert "@octo" not in message
    assert "[skip ci]" not in message
    assert message.endswith(f"Regreen-Signature: {first.signature}")
    head = git(origin, "rev-parse", branch)

    assert go(story()).state == "unchanged"
    assert git(origin, "rev-parse", branch) == head
    assert go(story(diff=diff(new="0 + sum(prices)"))).state == "updated"
    assert "0 + sum" in github.pulls[0]["body"]
    assert git(origin, "rev-list", "--count", f"main..{branch}") == "1"

    git(checkout.folder, "fetch", "-q", str(origin), branch)
    git(checkout.folder, "checkout", "-q", "-b", "mine", "FETCH_HEAD")
    git(checkout.folder, "commit", "-q", "--allow-empty", "-m", "by hand")
    git(checkout.folder, "push", "-q", str(origin), f"mine:{branch}")
    assert go(story()).state == "taken"
    assert git(origin, "log", "-1", "--format=%s", branch) == "by hand"

    github.pulls[0]["state"] = "closed"
    assert go(story()).state == "declined"
    github.pulls[0]["merged_at"] = "2026-01-01T00:00:00Z"
    git(origin, "branch", "-D", branch)
    assert go(story()).state == "opened"
    assert len(github.pulls) == 2
    github.pulls[1]["base"]["ref"] = "release"
    assert go(story()).state == "elsewhere"
    missing = go(None)
    assert (missing.state, missing.reason) == ("none", "the repair left no result")
    failed = go(
        story(
            status=FixStatus.NOT_FIXED, reason="none of 3 @octo", diff="", fixed=(),
            still_failing=("t.py::a",),
        ),
        comment_on=99,
    )  # fmt: skip
    assert failed.state == "none"
    assert github.comments[99][0]["body"] == "Regreen: none: none of 3 @\u200bocto"

    notes = repository.attempts(NOW)
    assert [one.status for one in notes] == ["fixed"] * 7 + ["lost", "not-fixed"]
    assert sum(one.cost for one in notes) == 8 * 0.5 + 2.0
    assert len(github.issues) == 1


def test_the_checkout_stays_as_it_is_and_hooks_do_not_run(checkout: Checkout) -> None:
    folder = checkout.folder
    hook = folder / ".git" / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\ntouch hooked\nexit 1\n")
    hook.chmod(0o755)
    (folder / "cart.py").write_text("dirty\n")
    before = git(folder, "status", "--porcelain"), git(folder, "branch", "-a")
    words = {"base": "HEAD", "branch": BRANCH, "message": "Fix"}
    assert checkout.push(diff().encode(), **words).state == "new"
    assert (git(folder, "status", "--porcelain"), git(folder, "branch", "-a")) == before


MODE = "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
LINK = (
    "diff --git a/x.py b/x.py\nnew file mode 120000\n--- /dev/null\n+++ b/x.py\n"
    "@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n"
)
NEW = "--- /dev/null\n+++ b/{}\n@@ -0,0 +1 @@\n+x = 1\n"


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        (diff("absent.py"), "git apply fails"),
        (diff(new="1").replace("max", "min"), "git apply fails"),
        ("not a diff", "git apply fails"),
        (NEW.format(".github/workflows/x.yml"), "is hidden"),
        (NEW.format("conftest.py"), "belongs to the tests"),
        (NEW.format("../x.py"), "git apply fails"),
        (NEW.format(".git/hooks/x.py"), "git apply fails"),
        (NEW.format("pytest.py"), "pytest"),
        (MODE, "changes the mode of 'run.sh'"),
        (LINK, "mode of 'x.py'"),
        (diff(new="__import__('os')") + "\n" + NEW.format("setup.py"), "setup.py is run outside"),
    ],
)
def test_a_patch_that_does_what_none_may(checkout: Checkout, patch: str, said: str) -> None:
    with pytest.raises(GitHubRefusedError, match=said) as caught:
        checkout.push(patch.encode(), base="main", branch=BRANCH, message="Fix")
    assert "\n" not in str(caught.value)
    origin = checkout.folder.parent / "origin.git"
    assert git(origin, "branch", "--list", "regreen/*") == ""


def test_sources_of_another_runner(checkout: Checkout) -> None:
    folder = checkout.folder
    (folder / "cart.js").write_text("let a = 1;\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "more")
    patch = "--- a/cart.js\n+++ b/cart.js\n@@ -1 +1 @@\n-let a = 1;\n+let a = 2;\n"
    words = {"base": "main", "branch": BRANCH, "message": "Fix"}
    assert checkout.push(patch.encode(), **words).state == "new"


def test_a_folder_of_the_checkout(checkout: Checkout) -> None:
    folder = checkout.folder
    (folder / "sub").mkdir()
    git(folder, "mv", "cart.py", "sub/cart.py")
    git(folder, "commit", "-qm", "moved")
    words = {"base": "main", "branch": BRANCH, "message": "Fix"}
    assert checkout.push(diff().encode(), **words, directory="sub").state == "new"
    origin = folder.parent / "origin.git"
    assert "sum" in git(origin, "show", f"{BRANCH}:sub/cart.py")


def test_a_commit_or_folder_that_is_not_there(checkout: Checkout, tmp_path: Path) -> None:
    for base in ("f" * 40, "--upload-pack=touch x", "main:cart.py"):
        with pytest.raises(GitHubConfigError, match="has no commit"):
            checkout.push(b"", base=base, branch=BRANCH, message="Fix")
    elsewhere = Checkout(folder=tmp_path / "no", remote="x", token=SecretStr(""))
    with pytest.raises(GitHubConfigError, match="can't be run"):
        elsewhere.push(b"", base="main", branch=BRANCH, message="Fix")


def test_the_token_goes_as_a_header_and_in_no_message(clone: Path) -> None:
    seen: list[tuple[str | None, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            children = subprocess.run(
                ["ps", "-eo", "args"], capture_output=True, text=True, check=True
            )
            seen.append((self.headers["Authorization"], children.stdout))
            self.send_error(403, TOKEN)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        remote = f"http://127.0.0.1:{server.server_address[1]}/octo/shop.git"
        checkout = Checkout(folder=clone, remote=remote, token=SecretStr(TOKEN))
        with pytest.raises(GitHubRefusedError, match="git ls-remote fails") as caught:
            checkout.push(diff().encode(), base="main", branch=BRANCH, message="Fix")
        server.shutdown()
        thread.join()
    expected = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    assert seen[0][0] == f"Basic {expected}"
    assert not any(TOKEN in args or expected in args for _, args in seen)
    assert TOKEN not in str(caught.value) + repr(checkout)
    for remote in ("http://github.example/x.git", "https://a:b@github.example/x.git"):
        with pytest.raises(GitHubConfigError):
            Checkout(folder=clone, remote=remote, token=SecretStr(TOKEN))


def test_the_commands(
    github: Any, checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """As the jobs of a workflow call them, one after the other."""
    outputs, events = tmp_path / "outputs", tmp_path / "story.json"
    events.write_bytes(files.story(story()))
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "octo/shop",
        "GITHUB_OUTPUT": str(outputs), "no_proxy": "127.0.0.1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    def call(*words: str) -> tuple[int, str]:
        code = commands.run(["github", *words])
        return code, capsys.readouterr().out

    commit = git(checkout.folder, "rev-parse", "main")
    proposing = [
        "propose", "--branch", "main", "--checkout", str(checkout.folder), "--remote",
        checkout.remote, "--commit", commit,
    ]  # fmt: skip
    limits = ("check", "--branch", "main", "--max-attempts", "1", "--max-month-cost", "3")
    assert call(*limits) == (0, "allowed: attempt 1 of 1 this month\n")
    code, out = call(*proposing, "--story", "story.json", "--json")
    assert (code, json.loads(out)["state"]) == (0, "opened")
    code, out = call(*limits, "--actor", "maintainer")
    assert code == 1
    assert out.startswith("not allowed: 1 repairs of this branch")
    lines = outputs.read_text().splitlines()
    assert lines[:4] == ["allowed=true", "allowance=2.0000", "branch=main", "commit="]
    assert lines[4:6] == ["state=opened", "number=2"]

    events.write_text("{}")
    for words, more, expected, said in (
        (("check",), {}, Exit.USAGE, "give --branch or --pull-request"),
        (("check", "--branch", "x"), {"GITHUB_TOKEN": ""}, Exit.USAGE, "set GITHUB_TOKEN"),
        (("check", "--branch", "x"), {"GITHUB_TOKEN": "no"}, Exit.USAGE, "refuses the token (401)"),
        (("check", "--branch", "x"), {"GITHUB_REPOSITORY": ""}, Exit.USAGE, "which repository?"),
        (("check", "--pull-request", "99"), {}, Exit.INFRASTRUCTURE, "refused (404)"),
        ((*proposing, "--story", "story.json"), {}, Exit.USAGE, "story.json is nothing that"),
    ):
        with monkeypatch.context() as changed:
            for name, value in more.items():
                changed.setenv(name, value)
            with pytest.raises(Exception, match=r"\S") as caught:
                call(*words)
        found = known_error(caught.value)
        assert found is not None
        assert (found[1], "\n" in str(found[0])) == (expected, False)
        assert said in str(found[0])
    (known,) = github.comments.values()
    assert [json.loads(one["body"].split("\n")[0][13:-4])["status"] for one in known] == [
        "fixed", "lost",
    ]  # fmt: skip
