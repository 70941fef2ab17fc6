"""Python tests, run by pytest in one process for the whole suite."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any

from sandbox.suite import order
from verifiers.repository.canary import make_canary, set_traps
from verifiers.repository.options import SuiteOptions
from verifiers.repository.patch import Patch, check, is_test_name, sources, syntax
from verifiers.repository.selection import selection
from verifiers.repository.settings import read_settings
from verifiers.repository.snapshot import Snapshot

from .base import Canaries, Plan

_ARGUMENTS = (
    "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:stepwise", "--maxfail=0",
    "--continue-on-collection-errors", "--capture=fd", "--tb=short", "--color=no", "-q",
    "--no-header", "--no-summary",
)  # fmt: skip


class PytestRunner:
    """Python tests; see `base.Runner`."""

    def __init__(self, snapshot: Snapshot, options: SuiteOptions) -> None:
        self._snapshot, self._options = snapshot, options
        self._settings = read_settings(snapshot)
        if options.files:
            self._settings = self._settings.model_copy(update={"files": options.files})
        self._selected = selection((*self._settings.arguments, *options.arguments))

    @classmethod
    def recognises(cls, snapshot: Snapshot) -> bool:
        return any(is_test_name(path) for path in snapshot.files)

    def sources(self) -> tuple[str, ...]:
        return sources(self._snapshot, self._settings, self._options.rules)

    def check(self, patch: Patch) -> str:
        return check(patch, self._snapshot, self._settings, self._options.rules)

    def syntax(self, patch: Patch) -> str:
        return syntax(patch)

    def test_files(self) -> list[str]:
        tops = self._options.paths or self._settings.test_paths or ("",)
        prefixes = tuple(f"{top.rstrip('/')}/" if top.strip("./") else "" for top in tops)
        return [
            path
            for path in self._snapshot.files
            if self._settings.is_test_file(path)
            and (path in tops or any(path.startswith(prefix) for prefix in prefixes))
        ]

    def in_order(self, files: Iterable[str]) -> list[str]:
        tops = [
            posixpath.normpath(path) for path in self._options.paths or self._settings.test_paths
        ]

        def place(path: str) -> tuple[int, str]:
            holds = (at for at, top in enumerate(tops) if f"{path}/".startswith(f"{top}/"))
            return next(holds, len(tops)), path

        return sorted(files, key=place)

    def canaries(self, tree: Snapshot, files: Iterable[str], seed: str) -> Canaries:
        here = [path for path in files if path in self._snapshot.files]
        made = make_canary(tree, self._settings, here, seed, selected=self._selected)
        return Canaries(texts={made.path: made.text}, ids=(made.id,))

    def traps(
        self, ids: Iterable[str], seed: str, *, beside: Iterable[str] = ()
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        return set_traps(self._snapshot, ids, seed, beside=beside)

    def order(self, tree: Snapshot, plan: Plan) -> dict[str, Any]:
        own, options = self._settings, self._options
        paths = (
            list(options.paths or own.test_paths or (".",))
            if plan.files is None
            else list(plan.files)
        )
        return order(
            tree.changed(plan.canaries.texts).archive(),
            arguments=[*self._arguments(plan.seed), *paths, *plan.canaries.texts],
            roots=options.roots or own.roots,
            changed=plan.changed,
            hash_seed=plan.hash_seed,
            name=own.name,
            version=own.version,
            only=plan.only,
            without=options.without,
            trace=plan.trace,
            installed=options.installed,
        )

    def _arguments(self, seed: int) -> list[str]:
        own, options = self._settings, self._options
        plugins = [f"-p{name}" for name in dict.fromkeys((*own.plugins, *options.plugins))]
        return [
            "-c", own.file or "/dev/null",
            "--rootdir", ".",
            "--confcutdir", ".",
            "-o", "addopts=",
            *(("-o", f"python_files={' '.join(options.files)}") if options.files else ()),
            *_ARGUMENTS,
            f"--hypothesis-seed={seed}",
            *plugins,
            *own.arguments,
            *options.arguments,
        ]  # fmt: skip
