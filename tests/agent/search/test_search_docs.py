"""The page on search lists every strategy and every option with its default."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

import pytest

from agent.search.options import OwnOptions
from agent.search.registry import _BUILT_IN
from agent.search.tree import TreeOptions

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "search.md").read_text(encoding="utf-8")


def documented(heading: str) -> dict[str, str]:
    """The options in the table below a heading, with their defaults."""
    _, found, rest = PAGE.partition(f"\n### {heading}\n")
    assert found, heading
    section = re.split(r"\n##", rest)[0]
    rows = re.findall(r"(?m)^\| `(\w+)` \|([^|]*)\|", section)
    return {name: default.strip().strip("`") for name, default in rows}


def defaults(options: type[OwnOptions], without: type[OwnOptions] = OwnOptions) -> dict[str, str]:
    fields = {
        name: field.default
        for name, field in options.model_fields.items()
        if name not in without.model_fields
    }
    return {
        name: ""
        if value is None
        else json.dumps(round(value, 3) if name == "exploration" else value)
        for name, value in fields.items()
    }


@pytest.mark.parametrize("name", _BUILT_IN)
def test_options_are_documented(name: str) -> None:
    module = import_module(_BUILT_IN[name].partition(":")[0])
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, OwnOptions)
        and value.__module__ == module.__name__
    ]
    assert len(own) <= 1
    expected = defaults(own[0], TreeOptions) if own else {}
    assert documented(name) == expected
    assert re.search(rf"(?m)^\| `{name}` \|", PAGE), "it is missing in the overview"


def test_shared_options_are_documented() -> None:
    assert documented("Free edits") == defaults(TreeOptions)
