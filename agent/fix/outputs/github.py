"""What a step of GitHub Actions shows of a repair: annotations, a summary, outputs.

Limits: ten annotations of a kind for each step, and 1 MiB of summary. A line of a step's output is
a command if it begins with `::` behind blanks, or has `##[` anywhere; see `command_fence`.
"""

from __future__ import annotations

import secrets

from agent.fix.outputs import hunks, markdown
from agent.fix.outputs.base import Story
from agent.fix.outputs.places import failing_line
from agent.fix.outputs.safe import line
from agent.fix.report import FixStatus

MOST_ANNOTATIONS = 10
SUMMARY_BYTES = 1024 * 1024
_MESSAGE_CHARS = 1000
_QUIET = frozenset({FixStatus.FIXED, FixStatus.NOTHING_FAILING})


def workflow_commands(story: Story) -> list[str]:
    """Workflow commands, ten at the most: where a patch changes something, what still fails."""
    report = story.report
    found: list[str] = []
    if report.diff:
        for part in hunks.replacements(report.diff):
            last = part.first + max(part.removed, 1) - 1
            found.append(
                _command(
                    "notice",
                    f"a proven patch changes this: {report.reason} ({report.confidence})",
                    file=story.path(part.path),
                    line=str(part.first),
                    end=str(last),
                )
            )
    for name in report.still_failing:
        path, number = failing_line(story, name)
        detail = story.detail(name).strip().splitlines()
        told = f"{name} fails, and no patch was found" + (f": {detail[-1]}" if detail else "")
        found.append(_command("error", told, file=story.path(path), line=str(number or 1)))
    if not found and report.status not in _QUIET:
        found.append(_command("error", f"{report.status.value}: {report.reason}"))
    if len(found) > MOST_ANNOTATIONS:
        left_out = len(found) - MOST_ANNOTATIONS + 1
        told = f"{left_out} more places are in the summary and in the report"
        found = [*found[: MOST_ANNOTATIONS - 1], _command("notice", told)]
    return found


def summary(story: Story, *, used: int = 0) -> bytes:
    """The report, as far as the step's summary has room for it.

    Args:
        story: what to tell.
        used: bytes that the step has written to its summary before.
    """
    whole = markdown.render(story)
    if len(whole) <= SUMMARY_BYTES - used:
        return whole
    short = f"## Regreen: {story.report.status.value}\n\nThe summary has no room for the report.\n"
    return short.encode() if len(short) <= SUMMARY_BYTES - used else b""


def step_outputs(story: Story) -> bytes:
    """The step's outputs: words of closed sets and numbers only, so that a line stays a line."""
    report = story.report
    values = {
        "status": report.status.value,
        "confidence": report.confidence if report.confidence.isalpha() else "",
        "patched": "true" if report.diff else "false",
        "cost": "" if report.cost is None else f"{report.cost:.6f}",
        "candidates": str(report.candidates),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items()).encode()


def command_fence() -> tuple[str, str]:
    """Lines for a step's output before and behind text in which nothing is to be a command."""
    token = secrets.token_hex(16)  # text that knew it could go on with a command
    return f"::stop-commands::{token}", f"::{token}::"


def _command(kind: str, message: str, *, file: str = "", line: str = "", end: str = "") -> str:
    properties = {"file": file, "line": line, "endLine": end, "title": "Regreen"}
    words = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{kind} {words}::{_data(message)}"


def _data(text: str) -> str:
    return line(text, _MESSAGE_CHARS).replace("%", "%25").replace("##[", "# #[")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
