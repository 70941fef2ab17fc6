"""The options of `regreen fix` that say what the tests need and what may be written to."""

from __future__ import annotations

from typing import Annotated

import typer

Requirement = Annotated[
    list[str] | None,
    typer.Option(help="A pip requirement that the repository doesn't name; may be repeated."),
]
SetupCommand = Annotated[
    str | None,
    typer.Option(help="A shell command that prepares the tree, run in the sandbox, once."),
]
TestCommand = Annotated[
    str | None,
    typer.Option(help="What to run in place of `pytest`: a command of pytest or unittest."),
]
AllowDirty = Annotated[
    bool, typer.Option("--allow-dirty", help="Of --apply: also into one that isn't committed.")
]
