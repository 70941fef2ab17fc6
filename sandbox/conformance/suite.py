"""Runs the checks: several at a time, and those that need the whole sandbox one by one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio

from sandbox.jobs import Limits
from sandbox.pool import default_slots
from sandbox.registry import SandboxBuilder, SandboxOptions

from . import cheats, cleanup, promises, right, walls, wrong
from .bench import Bench
from .model import GROUPS, Check, CheckResult, ConformanceReport, Unmet

Listener = Callable[[CheckResult, int, int], None]
"""Told of each check as it ends: its result, how many have ended, and how many there are."""

_CHECK_SECONDS = 60.0
_LEAST_SLOTS = 2


def all_checks() -> tuple[Check, ...]:
    """Every check, in the order of the groups."""
    modules = (right, wrong, cheats, walls, cleanup, promises)
    return tuple(check for module in modules for check in module.CHECKS)


async def conform(
    build: SandboxBuilder,
    options: SandboxOptions | None = None,
    *,
    groups: Iterable[str] | None = None,
    listener: Listener | None = None,
) -> ConformanceReport:
    """Finds out what a backend holds.

    Args:
        build: makes a sandbox that is not open yet; the function of a backend that the registry
            calls, too. It is called several times.
        options: to make it with. Slots are one a core and at least two, unless they are given;
            the limits are the defaults, which is what the jobs ask for.
        groups: names of `GROUPS`; all, unless given.
        listener: told of each check as it ends.

    Returns:
        One result for each check. A check that fails doesn't end the others, and neither does
        one that takes longer than a minute.

    Raises:
        ValueError: there is no such group.
        SandboxError: the sandbox can't be opened at all, so that there is nothing to say of it.
    """
    wanted = _wanted(groups)
    given = options or SandboxOptions()
    slots = given.slots or max(_LEAST_SLOTS, default_slots())
    given = given.model_copy(update={"slots": slots, "limits": Limits()})
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="regreen-canary-") as folder:
        canary = _canary(Path(folder))
        sandbox = build(given)
        async with sandbox:
            bench = Bench(sandbox=sandbox, build=build, options=given, canary=canary)
            results = await _run_all(bench, wanted, listener)
            level, reduced = sandbox.level, sandbox.reduced
            identity, slots = sandbox.identity, sandbox.slots
    return ConformanceReport(
        level=level,
        reduced=reduced,
        identity=identity,
        slots=slots,
        results=tuple(results[check.name] for check in wanted),
        seconds=round(time.monotonic() - began, 3),
    )


def _wanted(groups: Iterable[str] | None) -> tuple[Check, ...]:
    named = set(GROUPS) if groups is None else set(groups)
    if unknown := sorted(named - set(GROUPS)):
        raise ValueError(f"unknown group {unknown[0]!r}: known are {', '.join(GROUPS)}")
    return tuple(check for check in all_checks() if check.group in named)


def _canary(folder: Path) -> Path:
    folder.chmod(0o755)
    path = folder / "canary"
    path.write_text("The host wrote this.\n")
    path.chmod(0o666)
    return path


async def _run_all(
    bench: Bench, checks: tuple[Check, ...], listener: Listener | None
) -> dict[str, CheckResult]:
    results: dict[str, CheckResult] = {}

    async def run(check: Check) -> None:
        result = await _run(bench, check)
        results[check.name] = result
        if listener is not None:
            listener(result, len(results), len(checks))

    waiting = [check for check in checks if not check.alone]

    async def worker() -> None:
        while waiting:
            await run(waiting.pop(0))

    async with anyio.create_task_group() as tasks:
        for _ in range(max(1, bench.sandbox.slots)):
            tasks.start_soon(worker)
    for check in checks:
        if check.alone:
            await run(check)
    return results


async def _run(bench: Bench, check: Check) -> CheckResult:
    began = time.monotonic()
    ok, detail = False, ""
    try:
        with anyio.fail_after(_CHECK_SECONDS):
            detail = await check.act(bench)
        ok = True
    except Exception as error:  # of somebody else's backend: the other checks are run all the same
        detail = _reason(error)
    return CheckResult(
        name=check.name,
        group=check.group,
        proves=check.proves,
        ok=ok,
        detail=detail,
        seconds=round(time.monotonic() - began, 3),
    )


def _reason(error: Exception) -> str:
    """What went wrong, of a group the first that is known."""
    if isinstance(error, ExceptionGroup):
        return _reason(error.exceptions[0])
    if isinstance(error, Unmet):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"no end within {_CHECK_SECONDS:g} s"
    return f"{type(error).__name__}: {error}"
