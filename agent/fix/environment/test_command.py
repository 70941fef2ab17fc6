"""A project's own test command, as far as it is one of pytest or unittest, in pytest's words."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from verifiers.repository import RepositoryError, Snapshot
from verifiers.repository.selection import unclear
from verifiers.repository.settings import split_options

_ALLOWED = (
    "allowed are `pytest ...`, `python -m pytest ...` and `python -m unittest ...`, "
    "also behind `coverage run`, `uv run`, `poetry run`, `pdm run`, `hatch run` or `pipenv run`"
)
_RUNNERS = frozenset({"uv", "poetry", "pdm", "hatch", "pipenv", "rye"})
_PYTHON = re.compile(r"(?:.*/)?(?:python|pypy)[\d.]*$")
_PYTEST = frozenset({"pytest", "py.test"})
_WITH_VALUE = frozenset({
    "-k", "-m", "-W", "--pythonwarnings", "--ignore", "--ignore-glob", "--import-mode",
    "--doctest-glob", "--doctest-continue-on-failure", "--log-level", "--capture", "--assert",
})  # fmt: skip
_DESELECT = "--deselect"
_LEFT_OUT = frozenset({"-v", "--verbose", "-q", "--quiet", "-b", "--buffer", "-c", "--catch",
                       "-f", "--failfast", "--locals"})  # fmt: skip
_UNITTEST_FILES = "test*.py"
_SELECTED = re.compile(r"[\w\s()]+")


class TestCommand(BaseModel):
    """What a test command asks for.

    Attributes:
        arguments: pytest's.
        paths: files, folders and ids to collect; empty for the repository's own choice.
        files: patterns of the names of test files; empty for the repository's own.
        roots: folders to import from besides.
    """

    __test__ = False
    model_config = ConfigDict(frozen=True, extra="forbid")

    arguments: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


def read_test_command(command: str, snapshot: Snapshot) -> TestCommand:
    """Reads a command such as `python -m pytest tests -k parse`. It is never run.

    Args:
        command: as a user types it.
        snapshot: the repository, in which the paths that it names have to be.

    Raises:
        RepositoryError: it is none of pytest or unittest, or names what is not there.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _refused(command, f"it can't be read ({error})") from None
    words = _without_runner(words)
    if words and posixpath.basename(words[0]) in _PYTEST:
        return _pytest(words[1:], command, snapshot)
    if len(words) > 2 and _PYTHON.match(words[0]) and words[1] == "-m":
        if words[2] in _PYTEST:
            return _pytest(words[3:], command, snapshot)
        if words[2] == "unittest":
            return _unittest(words[3:], command, snapshot)
    raise _refused(command, _ALLOWED)


def _refused(command: str, why: str) -> RepositoryError:
    return RepositoryError(f"test command {command!r}: {why}")


def _without_runner(words: list[str]) -> list[str]:
    """Without `uv run` and its like, and without `coverage run` before `-m`."""
    if len(words) > 2 and words[0] in _RUNNERS and words[1] == "run":
        words = words[2:]
    if len(words) > 2 and _PYTHON.match(words[0]) and words[1:3] == ["-m", "coverage"]:
        words = words[2:]
    if words[:2] == ["coverage", "run"] and "-m" in words:
        words = ["python", *words[words.index("-m") :]]
    return words


def _pytest(words: list[str], command: str, snapshot: Snapshot) -> TestCommand:
    kept: list[str] = []
    paths: list[str] = []
    rest = iter(words)
    own: list[str] = []
    for word in rest:
        if word == _DESELECT or word.startswith(f"{_DESELECT}="):
            own.append(f"{_DESELECT}={word.partition('=')[2] or next(rest, '')}")
        else:
            kept.append(word)
    options, plugins = split_options(kept)
    rest = iter(options)
    for word in rest:
        if word in _WITH_VALUE:
            own += [word, next(rest, "")]
        elif word.startswith("-"):
            own.append(word)
        else:
            paths.append(_path(word, command, snapshot))
    if said := unclear(own):
        raise _refused(command, f"of {said} only names with `and`, `or` and `not` are understood")
    return TestCommand(arguments=(*(f"-p{name}" for name in plugins), *own), paths=tuple(paths))


def _path(word: str, command: str, snapshot: Snapshot) -> str:
    file, colons, inside = word.partition("::")
    plain = posixpath.normpath(file)
    if plain == ".":
        return plain
    if plain not in snapshot.files and not _is_folder(plain, snapshot):
        raise _refused(command, f"there is no {file!r} in the repository")
    return f"{plain}{colons}{inside}"


def _is_folder(path: str, snapshot: Snapshot) -> bool:
    return any(name.startswith(f"{path}/") for name in snapshot.files)


def _unittest(words: list[str], command: str, snapshot: Snapshot) -> TestCommand:
    start, pattern, top = ".", _UNITTEST_FILES, ""
    names: list[str] = []
    selected: list[str] = []
    rest = iter(words[1:] if words[:1] == ["discover"] else words)
    for word, value in _options(rest):
        if word in ("-s", "--start-directory"):
            start = value
        elif word in ("-p", "--pattern"):
            pattern = value
        elif word in ("-t", "--top-level-directory"):
            top = value
        elif word == "-k":
            selected.append(value.strip("*"))
        elif word in _LEFT_OUT:
            continue
        elif word.startswith("-"):
            raise _refused(command, f"unittest's option {word} is not known here")
        else:
            names.append(word)
    if any(not _SELECTED.fullmatch(one) for one in selected):
        raise _refused(command, "of unittest's -k, only parts of names are taken")
    arguments = ("-k", " or ".join(selected)) if selected else ()
    if words[:1] == ["discover"] or not names:
        start, pattern, top = _places(names, start, pattern, top)
        path = _path(_as_folder(start, snapshot), command, snapshot)
        roots = (posixpath.normpath(top),) if top.strip("./") else ()
        found = () if path == "." else (path,)
        return TestCommand(arguments=arguments, paths=found, files=(pattern,), roots=roots)
    paths = tuple(_named(name, command, snapshot) for name in names)
    named = [path.partition("::")[0] for path in paths]
    files = tuple(
        dict.fromkeys(posixpath.basename(path) for path in named if path in snapshot.files)
    )
    return TestCommand(arguments=arguments, paths=paths, files=(*files, _UNITTEST_FILES))


def _places(names: list[str], start: str, pattern: str, top: str) -> tuple[str, str, str]:
    """`discover START PATTERN TOP` may be said without the options' names."""
    given = dict(enumerate(names))
    return given.get(0, start), given.get(1, pattern), given.get(2, top)


def _options(rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Options with their values, `-k x`, `-kx` and `--pattern=x` alike; other words as they are."""
    for word in rest:
        name, equals, value = word.partition("=")
        if word in ("-s", "-p", "-t", "-k") or (name.startswith("--") and _takes_value(name)):
            yield name, value if equals else next(rest, "")
        elif word[:2] in ("-s", "-p", "-t", "-k") and not word.startswith("--"):
            yield word[:2], word[2:]
        else:
            yield word, ""


def _takes_value(name: str) -> bool:
    return name in ("--start-directory", "--pattern", "--top-level-directory")


def _as_folder(start: str, snapshot: Snapshot) -> str:
    """`discover -s pkg.tests` means the folder of that package."""
    plain = posixpath.normpath(start)
    dotted = plain.replace(".", "/")
    return dotted if not _is_folder(plain, snapshot) and _is_folder(dotted, snapshot) else start


def _named(name: str, command: str, snapshot: Snapshot) -> str:
    """A module, class or method, dotted or as a path, as pytest's id."""
    if name.endswith(".py"):
        return _path(name, command, snapshot)
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        place = "/".join(parts[:count])
        for root in ("", "src/"):
            if f"{root}{place}.py" in snapshot.files:
                return "::".join([f"{root}{place}.py", *parts[count:]])
            if count == len(parts) and _is_folder(f"{root}{place}", snapshot):
                return f"{root}{place}"
    raise _refused(command, f"there is no module {name!r} in the repository")
