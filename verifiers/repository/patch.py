"""Which files of a repository a candidate may change, and what it may not put into them."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict

from .settings import TEST_FOLDERS, SuiteSettings
from .snapshot import Snapshot

Patch = Mapping[str, str | None]
"""Paths of the repository, each with its whole new text, or `None` where the file goes."""

_CI_FOLDERS = frozenset({"ci", "scripts", "tools"})
_TEST_NAMES = ("test_*.py", "*_test.py", "tests.py", "test.py", "conftest.py")
_SETUP_NAMES = frozenset({
    "setup.py", "noxfile.py", "toxfile.py", "tasks.py", "fabfile.py", "conf.py", "dodo.py",
    "sitecustomize.py", "usercustomize.py",
})  # fmt: skip
_PLUGIN_NAMES = ("pytest_*.py", "*_pytest.py", "*pytest_plugin*.py", "*pytestplugin*.py")
_MACHINERY = frozenset({"pytest", "_pytest", "pluggy", "hypothesis", "_hypothesis_pytestplugin"})
_LIBRARIES = _MACHINERY | {
    "iniconfig", "packaging", "attr", "attrs", "sortedcontainers", "pygments", "exceptiongroup",
    "tomli",
}  # fmt: skip


class Rules(BaseModel):
    """What a candidate may change. A path has to be allowed and not be forbidden.

    Whatever is set here, what is no source of the runner's language, tests, configuration, CI, lock
    files, hidden files, setup files, plug-ins and start-up modules stay as they are.

    Attributes:
        allow: patterns of paths that may change; `*` also stands for `/`.
        forbid: patterns of paths that may not.
        files: how many files one patch may change.
        file_bytes: how large each may become.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: tuple[str, ...] = ("*",)
    forbid: tuple[str, ...] = ()
    files: int = 50
    file_bytes: int = 1 << 20

    def may_change(self, path: str, settings: SuiteSettings) -> str:
        """Why a path may not change, in a line; empty if it may."""
        pure = PurePosixPath(path)
        folders, name = pure.parts[:-1], pure.name
        if fault := path_fault(path):
            return fault
        if not name.endswith(".py"):
            return f"{path} is no Python source"
        if name in _SETUP_NAMES:
            return f"{path} is run outside of the program: at setup, at Python's start, by a tool"
        if any(fnmatch(name, glob) for glob in _PLUGIN_NAMES) or _module(path) in settings.plugins:
            return f"{path} is a pytest plug-in"
        if _is_test(path, settings):
            return f"{path} belongs to the tests"
        if _CI_FOLDERS & set(folders[:1]):
            return f"{path} belongs to the project's tools"
        return self.excludes(path)

    def excludes(self, path: str) -> str:
        """Why these rules alone keep a path from changing; empty if they don't."""
        if not any(fnmatch(path, glob) for glob in self.allow):
            return f"{path} is not among the sources ({', '.join(self.allow)})"
        if any(fnmatch(path, glob) for glob in self.forbid):
            return f"{path} is forbidden"
        return ""


def path_fault(path: str) -> str:
    """Why no patch of whatever language may change a path; empty if it depends."""
    pure = PurePosixPath(path)
    if not path or pure.as_posix() != path or pure.is_absolute() or ".." in pure.parts:
        return f"{path!r} is no plain path in the repository"
    if any(ord(sign) < 32 or sign == "\\" for sign in path):
        return f"{path!r} has a sign in it that no path should have"
    if any(part.startswith(".") for part in pure.parts):
        return f"{path} is hidden"
    return ""


def place_fault(path: str, snapshot: Snapshot) -> str:
    """Why a patch can't put a file where it wants to; empty if it can."""
    if path in snapshot.files and snapshot.files[path].link:
        return f"{path} is a link"
    for parent in PurePosixPath(path).parents:
        if parent.as_posix() in snapshot.files:
            return f"{parent} is no folder"
    if any(other.startswith(f"{path}/") for other in snapshot.files):
        return f"{path} is a folder"
    return ""


def sources(snapshot: Snapshot, settings: SuiteSettings, rules: Rules) -> tuple[str, ...]:
    """The files of a repository that a candidate may change, sorted."""
    own = _plugin_files(snapshot)
    return tuple(
        path
        for path, file in sorted(snapshot.files.items())
        if not file.link and path not in own and not rules.may_change(path, settings)
    )


def check(patch: Patch, snapshot: Snapshot, settings: SuiteSettings, rules: Rules) -> str:
    """Why a patch is refused, in a line; empty if it may be tried. Nothing of it is run."""
    if not patch:
        return "the patch is empty"
    if len(patch) > rules.files:
        return f"the patch changes {len(patch)} files, at most {rules.files} are allowed"
    own = _plugin_files(snapshot)
    for path, text in patch.items():
        reason = rules.may_change(path, settings)
        reason = reason or _place(path, snapshot, own)
        if not reason and path not in snapshot.files:
            reason = f"{path} is not there" if text is None else _shadow(path, snapshot)
        if not reason and text is not None:
            reason = _content(path, text, snapshot.text(path) or "", rules)
        if reason:
            return reason
    return ""


def syntax(patch: Patch) -> str:
    """The first syntax error in a patch, in a line; empty if there is none."""
    for path, text in patch.items():
        if text is not None and isinstance(parsed := _parse(text), str):
            return f"{path}: {parsed}"
    return ""


def is_test_name(path: str) -> bool:
    """Whether a file is named as Python projects name their tests."""
    return any(fnmatch(PurePosixPath(path).name, glob) for glob in _TEST_NAMES)


def _is_test(path: str, settings: SuiteSettings) -> bool:
    pure = PurePosixPath(path)
    if is_test_name(path) or settings.is_test_file(path):
        return True
    if TEST_FOLDERS & set(pure.parts[:-1]):
        return True
    tops = [top.rstrip("/") for top in settings.test_paths if top not in settings.packages]
    tops = [top for top in tops if top not in ("", ".")]
    return any(path == top or path.startswith(f"{top}/") for top in tops if top != "src")


def _module(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _plugin_files(snapshot: Snapshot) -> frozenset[str]:
    """Sources that the project itself names as pytest plug-ins."""
    texts = [
        file.content.decode("utf-8", "replace")
        for path, file in snapshot.files.items()
        if path in ("pyproject.toml", "setup.cfg", "setup.py") or path.endswith("conftest.py")
    ]
    naming = [text for text in texts if "pytest11" in text or "pytest_plugins" in text]
    return frozenset(
        path
        for path in snapshot.files
        if path.endswith(".py") and any(f"{_module(path)}\"" in text for text in naming)
    )  # fmt: skip


def _place(path: str, snapshot: Snapshot, own: frozenset[str]) -> str:
    return f"{path} is a pytest plug-in" if path in own else place_fault(path, snapshot)


def _shadow(path: str, snapshot: Snapshot) -> str:
    """Whether a new file would be imported in another's place."""
    pure = PurePosixPath(path)
    top = pure.parts[1] if pure.parts[0] == "src" and len(pure.parts) > 1 else pure.parts[0]
    names = {pure.stem, top.removesuffix(".py")} - {"__init__"}
    for name in sorted(names):
        alone = len(pure.parts) <= 2 or name != pure.stem
        if name in _LIBRARIES or (alone and name in sys.stdlib_module_names):
            return f"{path} would hide the module {name}"
    for other in snapshot.files:
        beside = PurePosixPath(other)
        same = beside.suffix == ".py" and beside.stem == pure.stem != "__init__"
        if same and (TEST_FOLDERS & set(beside.parts[:-1]) or "test" in beside.name):
            return f"{path} would hide {other} of the tests"
    return ""


def _content(path: str, text: str, old: str, rules: Rules) -> str:
    if len(text.encode("utf-8", "replace")) > rules.file_bytes:
        return f"{path} has more than {rules.file_bytes} bytes"
    added = _imports(text) - _imports(old)
    if taken := sorted(added & _MACHINERY):
        return f"{path} imports {taken[0]}, which only tests should"
    return ""


def _imports(text: str) -> set[str]:
    """Top-level names of the modules that a source imports by statements."""
    tree = _parse(text)
    if isinstance(tree, str):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found


def _parse(text: str) -> ast.Module | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.removeprefix("\ufeff"))
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"can't be parsed ({type(error).__name__})"
