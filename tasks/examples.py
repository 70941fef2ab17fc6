"""The bundled examples, wherever this copy of Regreen keeps them."""

from __future__ import annotations

from pathlib import Path

from tasks import folder
from tasks.model import TaskError
from tasks.suite import Suite


def load() -> Suite:
    """The suite `examples`.

    Raises:
        TaskError: this copy of Regreen came without them.
    """
    return folder.load_suite(examples_folder(), name="examples")


def examples_folder() -> Path:
    """The folder of the examples: in the package when installed, beside it in a checkout.

    Raises:
        TaskError: neither exists.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "bundled", package.parent / "examples"):
        if folder.is_suite(candidate):
            return candidate
    raise TaskError("examples: this installation has no bundled examples; reinstall regreen")
