"""Puts the sandbox that a run would use, or all there are, to the conformance suite."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from agent.settings import Settings
from sandbox.conformance import CheckResult, ConformanceReport, conform
from sandbox.errors import SandboxError, UnknownSandboxError
from sandbox.registry import AUTO, SandboxOptions, choose_name, create_sandbox, sandbox_names

ALL = "all"
"""The name that stands for every sandbox there is."""

ADVICE = {
    "right": "verdicts of right programs can't be relied on: close other work and try again, then "
    "report it with this output",
    "wrong": "a wrong program may be blamed for the wrong thing, or pass: don't rely on verdicts, "
    "and report it with this output",
    "cheats": "a program that cheats may pass: don't rely on verdicts, and report it with this "
    "output",
    "walls": "don't run programs of strangers in it: see landlock, seccomp and user namespaces "
    "in `regreen doctor`, or choose another sandbox with --sandbox",
    "cleanup": "programs may disturb the ones after them: try again on an idle machine, or give "
    "each a container of its own with --isolation container",
    "promises": "it isn't the sandbox that the rest of Regreen expects: try again on an idle "
    "machine, then report it with this output",
}
"""What to do about a check that fails, by its group."""

DeepListener = Callable[[str, CheckResult, int, int], None]
"""Told of each check as it ends: sandbox, result, how many have ended, how many there are."""


class DeepFinding(BaseModel):
    """What one sandbox holds.

    Attributes:
        sandbox: its name.
        why: it is this one.
        unavailable: why it can't be opened here, or empty.
        report: what it holds, if it can be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sandbox: str
    why: str
    unavailable: str = ""
    report: ConformanceReport | None = None


async def examine_deeply(
    settings: Settings, *, listener: DeepListener | None = None
) -> list[DeepFinding]:
    """Runs the conformance suite on this machine.

    Args:
        settings: in force. `sandbox` may be `all`, too.
        listener: told of each check as it ends.

    Returns:
        One finding for each sandbox. One that can't be opened is a finding like any other.

    Raises:
        UnknownSandboxError: there is no sandbox of that name.
    """
    if settings.sandbox == ALL:
        chosen = [(name, "all were asked for") for name in sandbox_names() if name != AUTO]
    else:
        check_name(settings.sandbox)
        chosen = [await choose_name(settings.sandbox)]
    return [await _examine(settings, name, why, listener) for name, why in chosen]


def check_name(name: str) -> None:
    """Raises `UnknownSandboxError` unless there is a sandbox of that name, or it is `all`."""
    known = (*sandbox_names(), ALL)
    if name not in known:
        raise UnknownSandboxError(f"unknown sandbox {name!r}: known are {', '.join(known)}")


async def _examine(
    settings: Settings, name: str, why: str, listener: DeepListener | None
) -> DeepFinding:
    options = SandboxOptions(
        slots=settings.slots,
        isolation=settings.isolation,
        image=settings.image,
        base=settings.base_image,
        runtime=settings.runtime,
        allow_reduced=settings.allow_reduced_isolation,
    )

    def tell(result: CheckResult, done: int, total: int) -> None:
        if listener is not None:
            listener(name, result, done, total)

    try:
        report = await conform(lambda given: create_sandbox(name, given), options, listener=tell)
    except (SandboxError, OSError) as error:
        return DeepFinding(sandbox=name, why=why, unavailable=str(error))
    return DeepFinding(sandbox=name, why=why, report=report)
