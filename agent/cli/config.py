"""`regreen config`: what is set, and by what."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import typer

import agent
from agent.cli import options
from agent.cli.exits import OutputError
from agent.cli.interrupt import ending
from agent.cli.output import emit
from agent.settings import load_settings, origins
from sandbox.folders import cache_folder

_PLUGIN = "pytest_regreen.py"

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
    """Print a folder for PYTHONPATH that holds the pytest plug-in, and nothing else."""
    emit(str(_plugin_folder()))
    return 0


def _plugin_folder() -> Path:
    """The plug-in's folder; where Regreen is installed, its module lies among all others, so a
    copy of it.

    Raises:
        OutputError: the copy can't be made.
    """
    package = Path(agent.__file__).resolve().parent
    folder = package / "standalone"
    if (folder / _PLUGIN).is_file():
        return folder
    folder = cache_folder() / "pytest-plugin"
    try:
        text = (package.parent / _PLUGIN).read_bytes()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as made:
            made.write(text)
        Path(made.name).replace(folder / _PLUGIN)  # another command may do the same just now
    except OSError as error:
        raise OutputError(f"can't write {folder / _PLUGIN}: {error.strerror}") from None
    return folder
