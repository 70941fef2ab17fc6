"""Puts a patch on a branch of its own by git, without a working tree and without any hook."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pydantic import SecretStr

from agent.github.errors import GitHubConfigError, GitHubRefusedError, GitHubUnavailableError
from agent.llm.redaction import child_environment, one_line
from agent.llm.transport import is_loopback
from verifiers.repository import (
    Patch,
    RepositoryError,
    Snapshot,
    SuiteOptions,
    runner_names,
    runner_of,
    take_snapshot,
)
from verifiers.repository.runners import make_runner

_NAME, _ADDRESS = "Regreen", "regreen@noreply.invalid"
_TRAILER = "Regreen-Signature"
_SECONDS = 300
_BRANCH = re.compile(r"regreen/[0-9a-f]{4,64}")
_RAW = re.compile(r":(\d{6}) (\d{6}) [0-9a-f]+ ([0-9a-f]+) ([A-Z])\d*")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of the branch.

    Attributes:
        commit: its head.
        state: `new`, `changed`, `same` if it holds this patch already, or `foreign` if somebody
            else has put something on it, which stays there.
    """

    commit: str
    state: str


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A clone that has the commit that a patch is for.

    Attributes:
        folder: where it lies.
        remote: address or path that is pushed to.
        token: for an https address; sent as a header that no argument list shows.
    """

    folder: Path
    remote: str
    token: SecretStr
    _environment: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._environment.update(_environment(self.remote, self.token))

    def push(
        self, patch: bytes, *, base: str, branch: str, message: str, directory: str = ""
    ) -> Pushed:
        """Makes a commit of the patch on `base`, and the branch point to it.

        The patch is looked at as if nobody had before: it may change what a candidate may, and
        nothing else.

        Args:
            patch: a unified diff.
            base: the commit that it is for.
            branch: one of ours.
            message: of the commit.
            directory: in the checkout, that the patch's paths are relative to.

        Raises:
            GitHubRefusedError: the patch doesn't fit, or changes what it may not; or git refuses.
            GitHubConfigError: there is no such commit or folder.
            GitHubUnavailableError: git doesn't come to its end.
        """
        assert _BRANCH.fullmatch(branch), branch
        known = self._git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}"
        )
        if known.returncode:
            raise GitHubConfigError(f"{self.folder} has no commit {base!r}: fetch it first")
        parent = known.stdout.decode().strip()
        tree = self._tree(patch, parent, directory)
        head = self._remote_head(branch)
        if head:
            if not self._is_ours(branch, head):
                return Pushed(head, "foreign")
            there = self._git("rev-parse", f"{head}^{{tree}}", f"{head}^")  # no parent: shallow
            if there.stdout.decode().split() == [tree, parent]:
                return Pushed(head, "same")
        told = f"{message.rstrip()}\n\n{_TRAILER}: {branch.partition('/')[2]}\n"
        commit = self._said("commit-tree", tree, "-p", parent, "-F", "-", given=told.encode())
        self._said(
            "push", "--quiet", f"--force-with-lease=refs/heads/{branch}:{head}", "--",
            self.remote, f"{commit}:refs/heads/{branch}",
        )  # fmt: skip
        return Pushed(commit, "changed" if head else "new")

    def _tree(self, patch: bytes, parent: str, directory: str) -> str:
        """The tree with the patch, made in an index of its own; the checkout stays as it is."""
        with tempfile.TemporaryDirectory(prefix="regreen-push-") as made:
            index = {"GIT_INDEX_FILE": str(Path(made, "index"))}
            files = Path(made, "files")
            self._said("read-tree", parent, extra=index)
            self._said("checkout-index", "--all", "--quiet", f"--prefix={files}/", extra=index)
            into = [f"--directory={directory}"] if directory else []
            self._said(
                "apply", "--cached", "--whitespace=nowarn", *into, "-", given=patch, extra=index
            )
            tree = self._said("write-tree", extra=index)
            self._check(parent, tree, files, directory)
            return tree

    def _check(self, parent: str, tree: str, files: Path, directory: str) -> None:
        """Looks at what the patch does rather than at what it says."""
        raw = self._git("diff-tree", "-r", "-z", "--raw", "--no-renames", parent, tree)
        parts = raw.stdout.decode("utf-8", "surrogateescape").split("\0")
        changed: dict[str, str | None] = {}
        for header, path in zip(parts[::2], parts[1::2], strict=False):
            found = _RAW.fullmatch(header)
            within = PurePosixPath(path)
            if found is None or found[4] not in "MAD":
                raise GitHubRefusedError(f"the patch does to {path!r} what none may")
            modes = {found[1], found[2]} - {"000000"}
            if len(modes) != 1 or not modes <= {"100644", "100755"}:
                raise GitHubRefusedError(f"the patch changes the mode of {path!r}")
            if directory and not within.is_relative_to(directory):
                raise GitHubRefusedError(f"the patch changes {path!r} outside of {directory}")
            name = within.relative_to(directory).as_posix() if directory else path
            blob = None if found[4] == "D" else self._git("cat-file", "blob", found[3]).stdout
            changed[name] = None if blob is None else blob.decode("utf-8", "surrogateescape")
        try:
            reason = _refused(changed, take_snapshot(files / directory))
        except RepositoryError as error:
            raise GitHubRefusedError(f"the repository can't be read: {error}") from None
        if reason:
            raise GitHubRefusedError(f"the patch is refused: {reason}")

    def _remote_head(self, branch: str) -> str:
        """The commit that the branch points to at the remote; empty if there is no such branch."""
        found = self._said("ls-remote", "--quiet", "--", self.remote, f"refs/heads/{branch}")
        return found.split()[0] if found else ""

    def _is_ours(self, branch: str, head: str) -> bool:
        """Whether the branch's last commit is one of ours: then nobody else has touched it."""
        self._said(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", self.remote,
            f"refs/heads/{branch}",
        )  # fmt: skip
        told = self._said("log", "-1", "--format=%ce%n%B", head)
        trailer = f"{_TRAILER}: {branch.partition('/')[2]}"
        return told.startswith(f"{_ADDRESS}\n") and trailer in told.splitlines()

    def _said(self, *words: str, given: bytes = b"", extra: Mapping[str, str] | None = None) -> str:
        done = self._git(*words, given=given, extra=extra)
        if done.returncode:
            told = one_line(done.stderr.decode("utf-8", "replace"), secrets=(self.token,))
            raise GitHubRefusedError(f"git {words[0]} fails: {told or done.returncode}")
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def _git(
        self, *words: str, given: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", *words],
                cwd=self.folder,
                env={**self._environment, **(extra or {})},
                input=given,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitHubUnavailableError(f"git {words[0]} took more than {_SECONDS} s") from None
        except OSError as error:
            raise GitHubConfigError(
                f"git can't be run in {self.folder}: {error.strerror}"
            ) from None


def _refused(patch: Patch, snapshot: Snapshot) -> str:
    """Why a patch may not be what a candidate has become; empty if by some runner it may.

    Which runner the repair had is not asked: the user may have named one, and each has its sources.
    """
    likely = runner_of(snapshot)
    names = (likely, *(name for name in runner_names() if name != likely))
    reasons = (make_runner(snapshot, SuiteOptions(runner=name)).check(patch) for name in names)
    first = next(reasons)
    return first if first and all(reasons) else ""


def _environment(remote: str, token: SecretStr) -> dict[str, str]:
    """The environment of git: who commits, and the header, which `ps` shows to nobody."""
    own = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": _NAME,
        "GIT_AUTHOR_EMAIL": _ADDRESS,
        "GIT_COMMITTER_NAME": _NAME,
        "GIT_COMMITTER_EMAIL": _ADDRESS,
        "LC_ALL": "C",
    }
    kept = {
        name: value
        for name, value in child_environment().items()
        if not name.startswith(("GIT_CONFIG", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX", "GIT_TRACE"))
    }
    secret, parts = token.get_secret_value(), urlsplit(remote)
    if parts.username or parts.password:
        raise GitHubConfigError("the remote's address holds a name or password: leave it out")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise GitHubConfigError(f"{remote} is not encrypted: push to an https address")
    if parts.scheme in ("https", "http") and secret:
        basic = base64.b64encode(f"x-access-token:{secret}".encode()).decode()
        own |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{remote}.extraheader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
    return {**kept, **own, "PATH": os.environ.get("PATH", os.defpath)}
