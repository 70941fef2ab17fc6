"""`regreen config`: what is set, and by what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from agent.cli import options
from agent.cli.interrupt import ending
from agent.settings import load_settings, origins

app = typer.Typer(help="What is set, and by what.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """What is set, and by what."""


@app.command("show")
@ending
def show(as_json: options.AsJson = False) -> int:
    """Print every setting, its value, and where that came from."""
    settings = load_settings()
    values: dict[str, Any] = settings.model_dump(mode="json")
    if settings.api_key is not None:
        values["api_key"] = "(set)"
    sources = origins()
    if as_json:
        print(
            json.dumps(
                {name: {"value": values[name], "from": sources[name]} for name in values}, indent=2
            )
        )
        return 0
    width = max(map(len, values))
    for name, value in values.items():
        shown = "" if value is None else json.dumps(value)
        print(f"{name:<{width}}  {shown:<28}  {sources[name]}")
    return 0


@app.command("pytest")
@ending
def pytest_folder() -> int:
    """Print the folder of the pytest plug-in, for PYTHONPATH: it holds that one module only."""
    print(Path(__file__).resolve().parent.parent / "standalone")
    return 0
