"""Examines this machine: what works, what doesn't, and what to do about it. Changes nothing.

Every check runs beside the others and within a time of its own; one that fails in an unforeseen
way is a finding like any other.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from anyio import to_thread

from agent.clashes import NAMES, in_the_way, other_distributions, shadowed
from agent.doctor.findings import Finding
from agent.doctor.machine import folders, kernel
from agent.doctor.reach import model
from agent.doctor.workbench import backends
from agent.settings import Settings

__all__ = ["Finding", "examine"]

_OLDEST_PYTHON = (3, 11)
_SECONDS = 10.0
_BACKEND_SECONDS = 40.0

Check = Callable[[], Awaitable[list[Finding]]]


async def examine(settings: Settings) -> list[Finding]:
    """What a person wants to know when something doesn't work.

    Args:
        settings: in force; the model and the sandbox's options are taken from them.

    Returns:
        The findings, in a fixed order. `sandbox docker` and `sandbox local` are `ok` only if a
        job ran there with full isolation.
    """
    checks: list[tuple[str, float, Check]] = [
        ("python", _SECONDS, _in_thread(_python)),
        ("kernel", _SECONDS, _in_thread(kernel)),
        ("sandboxes", _BACKEND_SECONDS, lambda: backends(settings)),
        ("model", _SECONDS, lambda: model(settings)),
        ("import names", _SECONDS, _in_thread(_names)),
        ("folders", _SECONDS, _in_thread(lambda: folders(settings))),
    ]
    found: dict[str, list[Finding]] = {}

    async def run(name: str, seconds: float, check: Check) -> None:
        found[name] = await _guarded(name, seconds, check)

    async with anyio.create_task_group() as group:
        for name, seconds, check in checks:
            group.start_soon(run, name, seconds, check)
    return [finding for name, _, _ in checks for finding in found[name]]


async def _guarded(name: str, seconds: float, check: Check) -> list[Finding]:
    try:
        with anyio.fail_after(seconds):
            return await check()
    except TimeoutError:
        text = f"no answer within {seconds:g} s"
    except Exception as error:  # a check that breaks must not take the others with it
        text = f"the check failed ({type(error).__name__}: {error})"
    return [Finding(what=name, state="problem", found=text, advice="run `regreen doctor` again")]


def _in_thread(check: Callable[[], list[Finding]]) -> Check:
    async def run() -> list[Finding]:
        return await to_thread.run_sync(check, abandon_on_cancel=True)

    return run


def _python() -> list[Finding]:
    old = sys.version_info[:2] < _OLDEST_PYTHON
    return [
        Finding(
            what="python",
            state="problem" if old else "ok",
            found=f"{platform.python_version()} at {sys.executable}",
            advice="install Python 3.11 or newer" if old else "",
        )
    ]


def _names() -> list[Finding]:
    found = [
        Finding(
            what="import names",
            state="problem",
            found=f"{name!r} is {place}, not Regreen's",
            advice="rename it or take its folder out of PYTHONPATH",
        )
        for name, place in shadowed().items()
    ]
    found += [
        Finding(
            what="import names",
            state="warning",
            found=f"{name!r} is also provided by {', '.join(others)}",
            advice="install Regreen on its own: `uv tool install regreen` or pipx",
        )
        for name, others in other_distributions().items()
    ]
    found += [
        Finding(
            what="import names",
            state="warning",
            found=f"{path} would hide Regreen's {name!r} from a Python started in this folder",
            advice="use the `regreen` command rather than `python -m`, or start elsewhere",
        )
        for name, path in in_the_way(Path.cwd()).items()
    ]
    fine = Finding(what="import names", state="ok", found=f"{', '.join(NAMES)} are Regreen's")
    return found or [fine]
