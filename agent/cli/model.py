"""`regreen model`: weights of embedded models."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.interrupt import ending
from agent.cli.show import Show
from agent.llm.weights import known_weights, pull

app = typer.Typer(help="Weights of embedded models.", no_args_is_help=True)


@app.command("pull")
@ending
def pull_model(
    name: Annotated[
        str, typer.Argument(help="A known name, a URL of a .gguf, or hf:owner/repo/file.gguf.")
    ],
) -> int:
    """Fetch a model's weights into the cache folder; goes on where it was broken off."""
    with Show() as show:
        path = pull(name, progress=show.downloaded)
    print(path)
    return 0


@app.command("list")
@ending
def list_models() -> int:
    """Print the known names and their licences."""
    for name, licence in known_weights().items():
        print(f"local/{name}  {licence}")
    return 0
