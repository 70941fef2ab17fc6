"""What the files of a repository say it needs, before any of it is sorted out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement

from sandbox.wheels import canonical

TEST_EXTRAS = ("test", "tests", "testing", "dev", "develop", "development", "unittest")
"""Names under which projects list what their tests need."""
_COMMENT = re.compile(r"(^|\s)#.*$")
_PER_REQUIREMENT = re.compile(r"\s+--(?:hash|config-settings|global-option)[= ]\S+")
_OWN_FOLDER = re.compile(r"^(?:(?:-e|--editable)[ =]?\s*)?\.?/?(?:\[(?P<extras>[^\]]*)\])?$")


@dataclass(frozen=True, slots=True)
class Line:
    """One requirement as it is written.

    Attributes:
        text: as pip takes it, or what a user would type for pip.
        source: the file and the table that it stands in.
        optional: whether only tests or extras ask for it, so that the code may do without.
    """

    text: str
    source: str
    optional: bool = False


@dataclass(slots=True)
class Sheet:
    """All requirements of a repository.

    Attributes:
        name: of the project, or empty.
        lines: what is asked for in any case.
        extras: what each extra asks for, by its canonical name.
        wanted: extras that the tests ask for.
        notes: what was left out, and why.
    """

    name: str = ""
    lines: list[Line] = field(default_factory=list)
    extras: dict[str, list[Line]] = field(default_factory=dict)
    wanted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, texts: list[str], source: str, *, optional: bool = False) -> None:
        """Takes down requirements that are asked for in any case."""
        self.lines += [Line(text, source, optional) for text in texts]

    def add_extra(self, name: str, texts: list[str], source: str) -> None:
        """Takes down what an extra asks for; those named after tests are wanted."""
        plain = canonical(name.partition(":")[0])
        found = self.extras.setdefault(plain, [])
        found += [Line(text, f"{source} {name}", optional=True) for text in texts]
        if plain in TEST_EXTRAS and plain not in self.wanted:
            self.wanted.append(plain)


def own_extras(text: str) -> list[str] | None:
    """The extras of a line that stands for the repository itself (`.`, `-e .[test]`), else none."""
    found = _OWN_FOLDER.match(text.strip())
    if found is None or not text.strip():
        return None
    return [canonical(part.strip()) for part in (found["extras"] or "").split(",") if part.strip()]


def plain(text: str) -> str:
    """A line of a requirements file without comment, hashes and options of its own."""
    return _PER_REQUIREMENT.sub("", _COMMENT.sub("", text)).strip()


def parse(text: str) -> Requirement | str:
    """A requirement that an index can answer, or why it is none."""
    if text.startswith("-"):
        return f"{text.split()[0]} is an option"
    try:
        found = Requirement(text)
    except InvalidRequirement:
        return f"{text!r} is no requirement of an index"
    if found.url:
        return f"{found.name} is to be had from an address, not from an index"
    return found
