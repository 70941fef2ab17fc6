"""Finds other modules under our import names, which are common words that a user's file may have.

Standard library only and without a look at our own other packages: it runs before they are
imported, to say why that would fail.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

NAMES = ("agent", "sandbox", "tasks", "verifiers")
"""Our packages; all lie side by side."""

_DISTRIBUTION = "regreen"


def shadowed() -> Mapping[str, str]:
    """Those of our names that Python finds elsewhere, with the place where it does."""
    root = Path(__file__).resolve().parent.parent
    found: dict[str, str] = {}
    for name in NAMES:
        spec = importlib.util.find_spec(name)
        ours = root / name / "__init__.py"
        if spec is None or not spec.origin or Path(spec.origin).resolve() != ours:
            places = [*(spec.submodule_search_locations or ())] if spec is not None else []
            origin = spec.origin if spec is not None else None
            found[name] = origin or (places[0] if places else "nowhere")
    return found


def in_the_way(folder: Path) -> Mapping[str, Path]:
    """Those of our names that a folder has a module or package for, other than ours."""
    root = Path(__file__).resolve().parent.parent
    if folder.resolve() == root:
        return {}
    found: dict[str, Path] = {}
    for name in NAMES:
        for path in (folder / name / "__init__.py", folder / f"{name}.py"):
            if path.is_file():
                found.setdefault(name, path)
    return found


def other_distributions() -> Mapping[str, list[str]]:
    """Those of our names that other installed distributions provide too. Reads all metadata."""
    provided = packages_distributions()
    found: dict[str, list[str]] = {}
    for name in NAMES:
        others = sorted({other for other in provided.get(name, []) if other != _DISTRIBUTION})
        if others:
            found[name] = others
    return found
