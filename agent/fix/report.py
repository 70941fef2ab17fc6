"""What a repair amounts to: for people, for pull requests, and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from agent.fix.asking import Answers
from agent.fix.outputs.safe import inert, line
from agent.fix.repair import Finalist, Repair
from agent.fix.suspects import Suspect
from agent.fix.validation.assessment import Confidence
from agent.fix.validation.behaviour import Difference
from verifiers.repository import Snapshot

_SUSPECTS = 5
_NAMED = 20
_SUBJECT = 72
_DIFFERING = 5
_SAID = {
    Confidence.VALIDATED: "validated by more than the suite.",
    Confidence.PLAUSIBLE: "plausible: the suite is most of the evidence that there is.",
}


class FixStatus(StrEnum):
    """How a repair ended.

    FIXED: a patch turns every target and keeps what passed, proven in a fresh sandbox.
    PARTLY_FIXED: one does so for some of them; the others do not come to what it changes.
    NOTHING_FAILING: there is nothing to repair.
    NOT_FIXED: no patch was found.
    NOT_REPRODUCED: tests fail now and then only, or the named ones don't.
    ENVIRONMENT: the suite can't be run to its end.
    BUDGET: what may be spent was spent before a patch was found.
    """

    FIXED = "fixed"
    PARTLY_FIXED = "partly-fixed"
    NOTHING_FAILING = "nothing-failing"
    NOT_FIXED = "not-fixed"
    NOT_REPRODUCED = "not-reproduced"
    ENVIRONMENT = "environment"
    BUDGET = "budget"


class Bill(BaseModel):
    """What a model was asked and what it cost.

    Attributes:
        models: that were asked, by their full names.
        tokens_in: of all prompts.
        tokens_out: of all answers.
        cost: dollars; `None` where no price is known.
        run: the id of the run's record, to resume it or to look at what was said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0
    run: str = ""


class FixReport(BaseModel):
    """The result of `regreen fix`; the fields are those of its `--json`.

    Attributes:
        status: how it ended.
        reason: in a line.
        diff: the patch, as a unified diff that `git apply` takes; empty if there is none.
        files: that it changes.
        fixed: ids of tests that it turns.
        still_failing: ids of tests that failed before and still do.
        flaky: ids of tests that end now this way, now that way, and are no targets.
        lacking: ids of tests, and files, that can't be run here, with what they lack.
        notes: what of the repository was left out or made for the run.
        trust: what the verdict is worth; see docs/repositories.md.
        isolation: the level of isolation of the proof.
        confidence: `validated` or `plausible`, empty if there is no patch; see docs/fix.md.
        why: what speaks for and against the patch.
        differing: calls on which another patch that passes the suite gives something else.
        candidates: patches that were judged.
        tokens_in: of all answers of a model; 0 where none was asked.
        tokens_out: likewise.
        cost: dollars, likewise; `None` where no price is known.
        models: that may be asked, by their full names; none where no model was to be.
        origin: where the patch came from: `edit`, `model`; empty without one.
        answers: what came of a model's answers; `None` where none was asked.
        run: the id of the record of what a model was asked.
        seconds: wall time.
        suspects: the most suspicious functions.
        message: for a commit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: FixStatus
    reason: str = ""
    diff: str = ""
    files: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    lacking: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    trust: str = "in-process"
    isolation: str = ""
    confidence: str = ""
    why: tuple[str, ...] = ()
    differing: tuple[Difference, ...] = ()
    candidates: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0
    models: tuple[str, ...] = ()
    origin: str = ""
    answers: Answers | None = None
    run: str = ""
    seconds: float = 0.0
    suspects: tuple[Suspect, ...] = ()
    message: str = ""


def make_report(
    snapshot: Snapshot,
    found: Repair,
    *,
    named: bool,
    bill: Bill | None = None,
    notes: Sequence[str] = (),
) -> FixReport:
    """The report on a repair.

    Args:
        snapshot: the repository.
        found: what was tried.
        named: whether the user named the tests to turn.
        bill: of a model, if one might be asked.
        notes: what of the repository was left out or made for the run.
    """
    bill = bill or Bill()
    status, reason = _status(found, named=named)
    chosen = found.chosen
    failing = tuple(found.targets.failing)
    fields = {
        "status": status,
        "reason": reason,
        "still_failing": tuple(found.left) if chosen else failing,
        "flaky": found.targets.flaky,
        "lacking": found.targets.lacking,
        "notes": tuple(notes),
        "candidates": found.tried,
        "tokens_in": bill.tokens_in,
        "tokens_out": bill.tokens_out,
        "cost": bill.cost,
        "models": bill.models,
        "answers": found.asked.answers if found.asked is not None else None,
        "run": bill.run,
        "seconds": found.seconds,
        "suspects": found.suspects[:_SUSPECTS],
    }
    if chosen is None:
        return FixReport.model_validate(fields)
    candidate = chosen.candidate
    return FixReport.model_validate(
        {
            **fields,
            "diff": candidate.diff(snapshot),
            "files": candidate.files,
            "origin": candidate.origin.value,
            "fixed": failing,
            "isolation": chosen.verdict.isolation,
            "confidence": str(found.decision.confidence),
            "why": (*_why(found, chosen), *found.decision.why),
            "differing": found.decision.differing[:_DIFFERING],
            "message": _message(chosen, failing, found.decision.confidence),
        }
    )


def asked(report: FixReport) -> str:
    """Whether a model was asked, and what came of its answers, in a sentence."""
    answers = report.answers
    if answers is None:
        said = f" ({', '.join(report.models)} was not needed)" if report.models else ""
        return f"No model was asked{said}."
    counts = [
        (answers.judged, "patches judged"),
        (answers.repeated, "repeated"),
        (answers.words, "words only"),
        (answers.unapplied, "not applicable"),
        (answers.broken, "no valid code"),
        (answers.forbidden, "refused for what they change"),
        (answers.deleting, "deleting functions"),
        (answers.special, "for the tests' own inputs"),
    ]
    told = ", ".join(f"{number} {what}" for number, what in counts if number)
    return f"{' then '.join(report.models)} gave {answers.received} answers: {told or 'none'}."


def money(report: FixReport) -> str:
    """What it cost, in words."""
    return "at an unknown price" if report.cost is None else f"${report.cost:.4f}"


def _status(found: Repair, *, named: bool) -> tuple[FixStatus, str]:
    targets = found.targets
    if targets.broken:
        return FixStatus.ENVIRONMENT, f"the suite does not get to its end: {targets.broken}"
    if not targets.failing:
        if targets.uncollected:
            file, error = next(iter(targets.uncollected.items()))
            last = error.strip().splitlines()[-1] if error.strip() else "no reason given"
            return FixStatus.ENVIRONMENT, f"{file} can't be collected: {last}"
        if targets.lacking:
            file, what = next(iter(targets.lacking.items()))
            others = f" (and {len(targets.lacking) - 1} more)" if len(targets.lacking) > 1 else ""
            hint = "; name it with --requirement" if what.startswith("lacks a dependency") else ""
            return FixStatus.ENVIRONMENT, f"{file}{others} can't be run here: it {what}{hint}"
        if named:
            return FixStatus.NOT_REPRODUCED, "none of the named tests fails in two runs"
        if targets.flaky:
            many = len(targets.flaky)
            return FixStatus.NOT_REPRODUCED, f"no test fails twice; {many} fail now and then"
        if not targets.passing:
            return FixStatus.ENVIRONMENT, "no test was found"
        return FixStatus.NOTHING_FAILING, f"all {len(targets.passing)} tests pass"
    many = len(targets.failing)
    if found.chosen is not None and found.left:
        return FixStatus.PARTLY_FIXED, (
            f"{many} of {many + len(found.left)} failing tests pass now; the others do not come to"
            " what is changed"
        )
    if found.chosen is not None:
        return FixStatus.FIXED, f"{many} failing {'test passes' if many == 1 else 'tests pass'} now"
    if found.stopped:
        return FixStatus.BUDGET, found.stopped
    if found.refused:
        return FixStatus.NOT_FIXED, (
            f"{len(found.refused)} patches passed, and then not in a fresh sandbox:"
            f" {found.refused[0][1]}"
        )
    if found.asked is not None and not found.tried:
        many = found.asked.answers.received
        return FixStatus.NOT_FIXED, f"none of {many} answers of the model is a patch to try"
    if found.asked is not None and found.asked.stopped:
        return FixStatus.NOT_FIXED, (
            f"none of {found.tried} patches makes the tests pass; {found.asked.stopped}"
        )
    best = f"; the best turned {found.best[1]:.0%}" if found.best and found.best[1] > 0 else ""
    return FixStatus.NOT_FIXED, f"none of {found.tried} patches makes the tests pass{best}"


def _why(found: Repair, chosen: Finalist) -> tuple[str, ...]:
    targets = found.targets
    lines = [
        f"{len(targets.failing)} failing tests pass, {len(targets.passing)} passing ones still do,"
        " in a fresh sandbox with another hash seed",
        f"{trapped} tests that were made to fail were reported so"
        if (trapped := chosen.verdict.trapped)
        else "none of the tests could be made to fail, to see whether that is reported",
    ]
    if chosen.special:
        lines.append(f"look at it with care: {chosen.special}")
    others = [one.candidate for one in found.finalists if one is not chosen]
    if others:
        places = ", ".join(map(str, others))
        lines.append(f"{len(others)} other patches pass the suite as well: {places}")
    else:
        lines.append(f"the only one of {found.tried} patches tried that passes the suite")
    return tuple(lines)


def _message(chosen: Finalist, failing: tuple[str, ...], confidence: Confidence) -> str:
    place = chosen.candidate.place
    named = "\n".join(f"- {inert(line(name))}" for name in failing[:_NAMED])
    subject = line(f"Fix {place.name} in {place.path}", _SUBJECT)
    return (
        f"{inert(subject)}\n\n"
        f"Makes pass:\n{named}\n\n"
        f"Found and proven by Regreen; {_SAID[confidence]}"
    )
