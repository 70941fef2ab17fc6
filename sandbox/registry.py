"""Sandboxes by name, and the choice that `auto` makes; others come by `regreen.sandboxes`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

import anyio
from pydantic import BaseModel, ConfigDict, Field

from .base import Indexes, Sandbox
from .errors import SandboxUnavailableError, UnknownSandboxError
from .jobs import Isolation, Limits

ENTRY_POINT_GROUP = "regreen.sandboxes"


class SandboxOptions(BaseModel):
    """What a user can set of any sandbox; each takes what concerns it.

    Attributes:
        slots: programs at a time; `None` for one a core.
        spares: sandboxes kept ready for fresh runs.
        isolation: share a cell one after the other, or get one each.
        limits: the largest limits that jobs will ask for.
        requirements: pip requirements of the programs.
        image: docker: an image to use as it is.
        base: docker: the base of the image that is built.
        runtime: docker: an engine's runtime such as `runsc`.
        allow_reduced: local: go on with less than full isolation.
        indexes: what setup commands may ask; other jobs never can.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    slots: int | None = Field(default=None, ge=1)
    spares: int = Field(default=0, ge=0)
    isolation: Isolation = Isolation.SLOT
    limits: Limits = Limits()
    requirements: tuple[str, ...] = ()
    image: str | None = None
    base: str | None = None
    runtime: str | None = None
    allow_reduced: bool = False
    indexes: Indexes | None = None


SandboxBuilder = Callable[[SandboxOptions], Sandbox]

_BUILT_IN = {
    "docker": "sandbox.docker:build",
    "local": "sandbox.local:build",
}
AUTO = "auto"


def sandbox_names() -> tuple[str, ...]:
    """The names of all known sandboxes, sorted, `auto` first."""
    found = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    return (AUTO, *sorted({*_BUILT_IN, *found}))


def create_sandbox(name: str, options: SandboxOptions) -> Sandbox:
    """The sandbox of a name, not yet open.

    Raises:
        UnknownSandboxError: there is none of that name.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return cast(SandboxBuilder, getattr(import_module(module), attribute))(options)
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return cast(SandboxBuilder, point.load())(options)
    raise UnknownSandboxError(f"unknown sandbox {name!r}: known are {', '.join(sandbox_names())}")


async def choose_name(name: str) -> tuple[str, str]:
    """The name of the sandbox that `name` stands for, and why. `auto` prefers an engine."""
    if name != AUTO:
        return name, "as asked"
    from .docker import connect

    try:
        client = await anyio.to_thread.run_sync(connect)
    except SandboxUnavailableError as error:
        return "local", str(error).partition(":")[0]
    client.close()
    return "docker", "a Docker engine answers"


async def choose_sandbox(name: str, options: SandboxOptions) -> tuple[Sandbox, str]:
    """The sandbox of a name, and why it is this one. `auto` prefers an engine that answers.

    Raises:
        SandboxUnavailableError: there is none of that name.
    """
    chosen, why = await choose_name(name)
    return create_sandbox(chosen, options), why
