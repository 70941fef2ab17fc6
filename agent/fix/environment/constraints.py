"""Version constraints as Poetry and Pipenv write them, in pip's words.

Poetry's are described at https://python-poetry.org/docs/dependency-specification/.
"""

from __future__ import annotations

import re
from typing import Any

_PART = re.compile(r"^(?P<sign>\^|~=|~|>=|<=|==|!=|>|<|=)?\s*v?(?P<version>[0-9][\w.*+!-]*)$")
_NUMBERS = re.compile(r"^\d+(?:\.\d+)*")


def specifier(text: str) -> str | None:
    """A constraint as pip takes it; empty for any version, `None` where pip can't say it."""
    parts: list[str] = []
    if "|" in text:
        return None
    # `>=1 <2` is the same as `>=1,<2`
    spaced = re.sub(r"(?<=[\w*])\s+(?=[\^~<>=!])", ",", text.strip())
    for raw in spaced.split(","):
        part = raw.strip()
        if part in ("", "*"):
            continue
        found = _PART.match(part)
        if found is None:
            return None
        parts += _one(found["sign"] or "", found["version"])
    return ",".join(parts)


def _one(sign: str, version: str) -> list[str]:
    if sign == "^":
        return [f">={version}", f"<{_next(version, _caret_place(version))}"]
    if sign == "~":
        return [f">={version}", f"<{_next(version, min(1, len(_parts(version)) - 1))}"]
    if sign in ("", "=", "=="):
        return [f"=={version}"]
    return [f"{sign}{version}"]


def _parts(version: str) -> list[int]:
    found = _NUMBERS.match(version)
    return [int(part) for part in found[0].split(".")] if found else [0]


def _caret_place(version: str) -> int:
    """The first number that is not zero, else the last that is given."""
    parts = _parts(version)
    return next((place for place, part in enumerate(parts) if part), len(parts) - 1)


def _next(version: str, place: int) -> str:
    parts = _parts(version)[: place + 1]
    parts[place] += 1
    return ".".join(map(str, parts))


def dependency(name: str, value: Any) -> str | None:
    """One entry of a table of Poetry's or Pipenv's as a line; `None` for what no index has.

    Where the versions can't be said in pip's words, the name alone is the line.
    """
    if isinstance(value, list):  # several, told apart by markers
        return name
    if isinstance(value, str):
        return f"{name}{specifier(value) or ''}"
    if not isinstance(value, dict) or {"path", "git", "url", "file"} & value.keys():
        return None
    extras = value.get("extras")
    inside = f"[{','.join(map(str, extras))}]" if isinstance(extras, list) else ""
    line = f"{name}{inside}{specifier(str(value.get('version', '*'))) or ''}"
    markers = [str(value["markers"])] if value.get("markers") else []
    if python := specifier(str(value.get("python", "*"))):
        markers += [_python_marker(one) for one in python.split(",")]
    return line + (f"; {' and '.join(f'({one})' for one in markers)}" if markers else "")


def _python_marker(one: str) -> str:
    found = re.match(r"^([<>=!~]+)(.+)$", one)
    assert found is not None
    name = "python_full_version" if found[2].count(".") > 1 else "python_version"
    return f'{name} {found[1]} "{found[2]}"'
