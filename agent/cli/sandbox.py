"""`regreen sandbox`: the image that programs run in."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.interrupt import ending
from agent.cli.show import Show
from sandbox.docker import connect
from sandbox.errors import SandboxUnavailableError
from sandbox.image import ImageError, build_image

app = typer.Typer(help="The image that programs run in.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The image that programs run in."""


@app.command("build")
@ending
def build(
    base: Annotated[
        str | None,
        typer.Option(help="Base image with Python; default: REGREEN_BASE_IMAGE, or a slim Python."),
    ] = None,
    requirement: Annotated[
        list[str] | None, typer.Option(help="A pip requirement to have in it; may be repeated.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Fetch and build all anew.")] = False,
) -> int:
    """Build the sandbox image; wheels come from this machine, so the build needs no network."""
    client = connect()
    try:
        with Show() as show:
            tag = build_image(
                client,
                base=base,
                requirements=tuple(requirement or ()),
                progress=show.step,
                fresh=fresh,
            )
    except ImageError as error:
        raise SandboxUnavailableError(str(error)) from None
    finally:
        client.close()
    print(tag)
    return 0
