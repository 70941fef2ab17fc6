"""Which tests failed in a run of CI: read from its JUnit XML, or from what pytest printed."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.fix.outputs.safe import plain

_MOST_BYTES = 64 * 1024 * 1024
_MOST_TESTS = 2000
_SUMMARY = re.compile(r"(?:^|\s)(?:FAILED|ERROR) (?P<rest>\S*\.py(?:::|\s|$).*)")
_ODD = re.compile(r"[^ -~]")


class FailedTestsError(Exception):
    """The file can't be read, or is neither. One line."""


def read_failed(file: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Ids of the tests, or of the files that could not be collected, that a run said failed.

    What it says is only a choice among the tests that fail here: it may come from a stranger.

    Args:
        file: JUnit XML as pytest writes it (of either family), or a log with the lines
            `FAILED path::test - ...` of pytest's short summary, perhaps with a date before each.
        paths: the repository's files; ids of another folder are brought to these.

    Raises:
        FailedTestsError: no such file, too large, or neither of the two.
    """
    data = _read(file)
    known = frozenset(paths)
    text = data.decode("utf-8", "replace").lstrip("\ufeff")
    found = _of_xml(file, data, known) if text.lstrip().startswith("<") else _of_log(text, known)
    ids = tuple(dict.fromkeys(found))
    if not ids and not text.lstrip().startswith("<") and not _is_log(text):
        raise FailedTestsError(
            f"{file} is neither JUnit XML nor an output of pytest with its short summary"
            " (lines `FAILED path::test`)"
        )
    return ids[:_MOST_TESTS]


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise FailedTestsError(f"can't read {file}: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise FailedTestsError(f"{file} is larger than {_MOST_BYTES // 2**20} MiB")
    return data


def _is_log(text: str) -> bool:
    """Whether a run of pytest came to its closing line: then nothing has failed."""
    return (
        re.search(r"\d+ (?:passed|skipped|xfailed|deselected).* in [\d.]+s", plain(text))
        is not None
    )


def _of_log(text: str, known: frozenset[str]) -> Iterator[str]:
    for raw in plain(text).splitlines():
        found = _SUMMARY.search(raw)
        if found is not None:
            yield _at_home(_id(found["rest"].strip()), known)


def _id(rest: str) -> str:
    """The id before the ` - message`; a parameter may hold a dash as well."""
    bracket, dash = rest.find("["), rest.find(" - ")
    if bracket != -1 and (dash == -1 or bracket < dash):
        end = re.search(r"\](?= - |$)", rest[bracket:])
        return rest[: bracket + end.end()] if end else rest
    return rest if dash == -1 else rest[:dash]


def _of_xml(file: Path, data: bytes, known: frozenset[str]) -> Iterator[str]:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # no report of tests has any
        raise FailedTestsError(f"{file} has a document type, as no JUnit XML has")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise FailedTestsError(f"{file} is no XML: {error}") from None
    if root.tag not in ("testsuites", "testsuite"):
        raise FailedTestsError(f"{file} is no JUnit XML: its root is <{root.tag[:40]}>")
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            name, where = case.get("name", ""), case.get("classname", "")
            if name:
                yield _of_case(name, where, case.get("file"), known)


def _of_case(name: str, where: str, file: str | None, known: frozenset[str]) -> str:
    """pytest writes an id `a/b.py::C::t` as class `a.b.C`, name `t`; a whole file as name `a.b`."""
    if not where:
        return _file(name, known)[0]
    path, classes = (file, "") if file else _file(where, known)
    if file:
        module = file.removesuffix(".py").replace("/", ".")
        classes = where.removeprefix(module).removeprefix(".") if where.startswith(module) else ""
    assert path is not None
    if _ODD.search(name):  # as XML could not hold it: every parameter of that test, then
        name = name.partition("[")[0]
    return _at_home("::".join([path, *filter(None, classes.split(".")), name]), known)


def _file(dotted: str, known: frozenset[str]) -> tuple[str, str]:
    """The file that dotted words begin with, and the classes behind it.

    Words may stand before it (`--junit-prefix`, another top): the longest match wins.
    """
    words = dotted.split(".")
    for first in range(len(words)):
        for last in range(len(words), first, -1):
            path = f"{'/'.join(words[first:last])}.py"
            if path in known:
                return path, ".".join(words[last:])
    return f"{'/'.join(words)}.py", ""


def _at_home(test: str, known: frozenset[str]) -> str:
    """An id with the file's path in this repository, where it was run from another folder."""
    path, mark, rest = test.partition("::")
    path = path.removeprefix("./").replace("\\", "/")
    if path not in known:
        ends = [one for one in known if one.endswith(f"/{path}") or path.endswith(f"/{one}")]
        if ends:
            path = max(ends, key=len)
    return f"{path}{mark}{rest}"
