"""Run folders: the manifest that says how to repeat a run, its journal, and finding it again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from platformdirs import user_state_dir

from agent.journal import Journal
from agent.llm.prompts import prompts_hash
from agent.settings import Settings
from sandbox.base import Sandbox

LAST = "last"
_MANIFEST = "manifest.json"
_PACKAGES = ("regreen", "docker", "openai", "hypothesis", "pytest", "tree-sitter", "xllamacpp")
_DECIDE_SAMPLES = (
    "model",
    "strategy",
    "strategy_options",
    "routing",
    "profile",
    "reward_model",
    "tier_samples",
    "tier_strategies",
    "pool",
    "free_edits",
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "cascade",
    "cascade_samples",
    "cascade_failures",
    "effort",
    "thinking_tokens",
    "early_stop",
    "samples_per_call",
)
"""Settings that a resumed run has to share with the one it goes on with."""


class RunError(Exception):
    """A run can't be found, or can't be gone on with. One line."""


class RunFolderError(RunError):
    """A run's folder can't be written: the disk's fault or the permissions'. One line."""


def runs_folder(settings: Settings) -> Path:
    """Where run folders are kept."""
    if settings.runs is not None:
        return settings.runs
    return Path(user_state_dir("regreen")) / "runs"


class Run:
    """One run's folder.

    Attributes:
        id: its name, which sorts by time.
        folder: where everything of it lies.
        journal: open for writing.
        resumed: whether it goes on with an earlier start.
    """

    def __init__(self, folder: Path, *, resumed: bool) -> None:
        self.id = folder.name
        self.folder = folder
        self.resumed = resumed
        self._results = 0
        self.journal = Journal(folder)

    @classmethod
    def open(cls, settings: Settings, what: Mapping[str, Any], resume: str | None) -> Run:
        """A new run, or the one that `resume` names; see `start` and `resume`."""
        return cls.resume(settings, what, resume) if resume else cls.start(settings, what)

    @classmethod
    def start(cls, settings: Settings, what: Mapping[str, Any]) -> Run:
        """A new run.

        Args:
            settings: in force.
            what: what the run does: command, suite, tasks, protocol.

        Raises:
            RunFolderError: the folder can't be made.
        """
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        folder = runs_folder(settings) / f"{stamp}-{secrets.token_hex(3)}"
        try:
            folder.mkdir(parents=True)
            text = json.dumps(manifest(settings, what), indent=2, default=str)
            (folder / _MANIFEST).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise RunFolderError(
                f"no run folder can be made at {folder}: {error.strerror}; "
                "make room, or choose another place with --runs"
            ) from None
        return cls(folder, resumed=False)

    @classmethod
    def resume(cls, settings: Settings, what: Mapping[str, Any], which: str) -> Run:
        """Goes on with an earlier run.

        Args:
            settings: in force; what decides samples must be as it was.
            what: as for `start`; must be as it was.
            which: a run's id or folder, or `last` for the newest run of the same kind.

        Raises:
            RunError: there is no such run, or it was of another kind.
        """
        wanted = fingerprint(settings, what)
        if which == LAST:
            root = runs_folder(settings)
            found = sorted(root.iterdir(), reverse=True) if root.is_dir() else []
            same = [one for one in found if read_manifest(one).get("fingerprint") == wanted]
            if same:
                # one that was killed before anything came is no reason to forget what did
                return cls(next(filter(_has_records, same), same[0]), resumed=True)
            raise RunError(f"no run of the same kind to resume in {root}")
        folder = Path(which) if Path(which).is_dir() else runs_folder(settings) / which
        made = read_manifest(folder)
        if not made:
            raise RunError(f"no run {which}: neither a folder nor an id in {runs_folder(settings)}")
        if made.get("fingerprint") != wanted:
            now = manifest(settings, what)
            differing = sorted(
                name
                for part in ("settings", "what")
                for name in {*made.get(part, {}), *now[part]}
                if str(made.get(part, {}).get(name)) != str(now[part].get(name))
                and (part == "what" or name in _DECIDE_SAMPLES)
            )
            raise RunError(
                f"run {which} was another one: {', '.join(differing) or 'the prompts'} differ"
            )
        return cls(folder, resumed=True)

    def note_sandbox(self, sandbox: Sandbox) -> None:
        """Records where the run's verdicts come from."""
        self.journal.append("sandbox", {"level": sandbox.level, "identity": sandbox.identity})

    def write(self, name: str, text: str) -> Path:
        """Writes a file of results into the folder, whole or not at all.

        Raises:
            RunFolderError: the disk is full, or the folder can't be written.
        """
        path = self.folder / name
        draft = path.with_suffix(path.suffix + ".part")
        try:
            draft.write_text(text, encoding="utf-8", errors="surrogatepass")
            draft.replace(path)
            self._results += 1
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise RunFolderError(
                f"{path}: {error.strerror}; all samples are kept, make room and go on with "
                f"--resume {self.id}"
            ) from None
        return path

    def close(self) -> None:
        """Closes the journal; a new run in which nothing happened leaves no folder. Idempotent."""
        self.journal.close()
        if not self.resumed and not _has_records(self.folder) and not self._results:
            shutil.rmtree(self.folder, ignore_errors=True)


def fingerprint(settings: Settings, what: Mapping[str, Any]) -> str:
    """A hash of all that decides a run's samples."""
    chosen = {name: getattr(settings, name) for name in _DECIDE_SAMPLES}
    text = json.dumps([chosen, dict(what), prompts_hash()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def manifest(settings: Settings, what: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is needed to repeat a run. Holds no key."""
    return {
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "what": dict(what),
        "settings": settings.model_dump(mode="json", exclude={"api_key"}),
        "fingerprint": fingerprint(settings, what),
        "prompts": prompts_hash(),
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _has_records(folder: Path) -> bool:
    try:
        return (folder / "journal.jsonl").stat().st_size > 0
    except OSError:
        return False


def read_manifest(folder: Path) -> dict[str, Any]:
    """A run's manifest; empty where there is none."""
    try:
        made = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}
