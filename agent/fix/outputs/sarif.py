"""SARIF 2.1.0: each failing test is a result, and the patch its `fixes`."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from urllib.parse import quote

from agent.fix.outputs import hunks
from agent.fix.outputs import sarif_model as sarif
from agent.fix.outputs.base import Story
from agent.fix.outputs.places import failing_line
from agent.fix.outputs.safe import line
from agent.fix.report import FixStatus

_MOST_RESULTS = 5000
"""GitHub shows no more of a run."""
_RULE = "failing-test"
_BRACKETS = re.compile(r"([\\\[\]])")
_UNFINISHED = frozenset({FixStatus.ENVIRONMENT, FixStatus.BUDGET})


def render(story: Story) -> bytes:
    """A log with one run: its results are the tests that failed before anything was changed."""
    report = story.report
    fixes = _fixes(story)
    names = (*report.fixed, *report.still_failing)[:_MOST_RESULTS]
    results = tuple(_result(story, name, fixes if name in report.fixed else None) for name in names)
    unfinished = report.status in _UNFINISHED
    said = sarif.Notification(
        level="error" if unfinished else "note",
        message=sarif.Message(text=_text(f"{report.status.value}: {report.reason}")),
    )
    run = sarif.Run(
        tool=sarif.Tool(driver=_driver()),
        invocations=(
            sarif.Invocation(
                execution_successful=not unfinished, tool_execution_notifications=(said,)
            ),
        ),
        results=results,
    )
    log = sarif.Log(runs=(run,))
    data = log.model_dump(mode="json", by_alias=True, exclude_none=True)
    return f"{json.dumps(data, indent=1)}\n".encode()


def _driver() -> sarif.Driver:
    try:
        found = version("regreen")
    except PackageNotFoundError:
        found = "0"
    rule = sarif.Rule(
        id=_RULE,
        name="FailingTest",
        short_description=sarif.Message(text="A test fails"),
        full_description=sarif.Message(
            text="A test of the repository fails each time that it is run. Where the result has a"
            " fix, that patch made it pass in a sandbox, and broke no test that passed before."
        ),
    )
    return sarif.Driver(name="Regreen", version=found, rules=(rule,))


def _result(story: Story, test: str, fixes: tuple[sarif.Fix, ...] | None) -> sarif.Result:
    detail = story.detail(test).strip().splitlines()
    said = f"{line(test)} fails" + (f": {line(detail[-1])}" if detail else "")
    path, number = failing_line(story, test)
    region = sarif.Region(start_line=number or 1)  # code scanning shows no result without a line
    place = sarif.PhysicalLocation(artifact_location=_artifact(story, path), region=region)
    identity = hashlib.sha256(test.encode("utf-8", "replace")).hexdigest()[:32]
    return sarif.Result(
        rule_id=_RULE,
        rule_index=0,
        level="error",
        message=sarif.Message(text=_text(said)),
        locations=(sarif.Location(physical_location=place),),
        partial_fingerprints={"regreenTestId/v1": identity},
        fixes=fixes,
    )


def _fixes(story: Story) -> tuple[sarif.Fix, ...] | None:
    """The patch as one fix; `None` without one, since an empty list would be a claim as well."""
    parts = hunks.replacements(story.report.diff)
    if not parts:
        return None
    changes = tuple(
        sarif.ArtifactChange(
            artifact_location=_artifact(story, path), replacements=tuple(map(_replacement, group))
        )
        for path, group in groupby(parts, key=lambda one: one.path)
    )
    confidence = story.report.confidence or "unknown"
    described = f"{line(story.report.reason)} ({confidence}, trust {story.report.trust})"
    message = sarif.Message(text=_text(described))
    return (sarif.Fix(description=message, artifact_changes=changes),)


def _replacement(part: hunks.Replacement) -> sarif.Replacement:
    """Whole lines: of a replacement neither side has its last end, of all else both have."""
    text = "".join(part.inserted)
    if part.removed and text:
        region = sarif.Region(
            start_line=part.first, start_column=1, end_line=part.first + part.removed - 1
        )
        text = text.removesuffix("\n").removesuffix("\r")
    else:
        region = sarif.Region(
            start_line=part.first,
            start_column=1,
            end_line=part.first + part.removed,
            end_column=1,
        )
    content = sarif.Message(text=text) if text else None
    return sarif.Replacement(deleted_region=region, inserted_content=content)


def _artifact(story: Story, path: str) -> sarif.ArtifactLocation:
    return sarif.ArtifactLocation(uri=quote(story.path(path).encode("utf-8", "replace")))


def _text(text: str) -> str:
    """A message's text: a bracket would begin a link (3.11.6)."""
    return _BRACKETS.sub(r"\\\1", text)
