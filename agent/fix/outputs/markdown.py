"""What a pull request should say: what failed, why, the change, proof, price, what was tried.

GitHub takes 65,536 characters as a body. Each section has a share of them, and the text of
strangers stands in code, or is escaped: nothing in it is markup, a mention or a reference.
"""

from __future__ import annotations

from agent.fix.outputs.base import Story
from agent.fix.outputs.safe import code, fenced, prose, some
from agent.fix.report import asked, money

MOST_CHARS = 60_000
"""Of the report; a body holds some lines besides."""
_TESTS = 20
_DETAIL_LINES = 12
_FAILED_CHARS = 11_000
_CAUSE_CHARS = 4_000
_DIFF_CHARS = 22_000
_PROOF_CHARS = 5_000
_LIST_CHARS = 3_000
_ASKED_CHARS = 1_000
_CUT = "The rest of the report is too long for this page."


def render(story: Story) -> bytes:
    """The report as Markdown."""
    report = story.report
    title = f"## Regreen: {report.status.value.replace('-', ' ')}"
    sections = [
        [title, "", prose(report.reason)],
        _failed(story),
        _cause(story),
        _change(story),
        _proof(story),
        _cost(story),
        _tried(story),
    ]
    whole = [[*lines, ""] for lines in sections if lines]
    kept, left_out = some(whole, MOST_CHARS - len(_CUT) - 2)
    if left_out:  # the shares leave room for all that is likely
        kept.append(_CUT)
    text = "\n".join(kept).rstrip()
    return f"{text}\n".encode("utf-8", "replace")


def _failed(story: Story) -> list[str]:
    names = story.report.fixed or story.report.still_failing
    if not names:
        return []
    entries = [_failure(story, name) for name in names[:_TESTS]]
    lines, left_out = some(entries, _FAILED_CHARS)
    left_out += len(names) - len(entries)
    more = [f"- and {left_out} more"] if left_out else []
    return ["### What failed", "", *lines, *more, *_others(story)]


def _others(story: Story) -> list[str]:
    """The failing tests that a patch for others leaves as they are."""
    left = story.report.still_failing if story.report.fixed else ()
    if not left:
        return []
    more = [f"- and {len(left) - _TESTS} more"] if len(left) > _TESTS else []
    head = "These fail as before, and do not come to what is changed:"
    return ["", head, "", *(f"- {code(name)}" for name in left[:_TESTS]), *more]


def _failure(story: Story, name: str) -> list[str]:
    detail = story.detail(name).rstrip().splitlines()[-_DETAIL_LINES:]
    block = fenced("\n".join(detail), "text", indent="  ", width=200) if detail else []
    return [f"- {code(name)}", "", *block, *([""] if block else [])]


def _cause(story: Story) -> list[str]:
    """The functions that the patch changes, where they stand among the suspects."""
    report = story.report
    if not report.diff:
        return []
    lines = []
    for rank, one in enumerate(report.suspects, start=1):
        if one.path in report.files:
            lines.append(
                f"- {code(one.name)} in {code(f'{story.path(one.path)}:{one.line}')}, number {rank}"
                f" by suspicion ({one.score:.2f}) of the functions that the failing tests come to"
            )
    if not lines:
        lines = [
            f"- {code(story.path(path))}, which has none of the most suspicious functions"
            for path in report.files
        ]
    lines, left_out = some([[one] for one in lines], _CAUSE_CHARS)
    more = [f"- and {left_out} more"] if left_out else []
    return ["### Cause", "", "In what the patch changes:", "", *lines, *more]


def _change(story: Story) -> list[str]:
    diff = story.report.diff
    if not diff:
        return []
    block = fenced(diff[:_DIFF_CHARS], "diff")
    lines, left_out = some([[line] for line in block[:-1]], _DIFF_CHARS)
    cut = left_out or len(diff) > _DIFF_CHARS
    more = ["", "The rest of the patch is too long for this page."] if cut else []
    return ["### Change", "", *lines, block[-1], *more]


def _proof(story: Story) -> list[str]:
    report = story.report
    if not report.diff:
        return []
    lines, _ = some([[f"- {prose(line)}"] for line in report.why], _PROOF_CHARS)
    differing, _ = some([[f"- differs: {code(str(one))}"] for one in report.differing], _LIST_CHARS)
    lines += differing
    lines.append(
        f"- confidence: **{prose(report.confidence, 40)}**, trust: **{prose(report.trust, 40)}**,"
        f" isolation: {code(report.isolation, 100)}"
    )
    return ["### Proof", "", *lines]


def _cost(story: Story) -> list[str]:
    report = story.report
    spent = f"{report.seconds:.0f} s"
    if report.answers is not None:
        tokens = f"{report.tokens_in} tokens in, {report.tokens_out} tokens out"
        spent += f", {tokens}, {money(report)}"
    return ["### Cost", "", f"{spent}. {prose(asked(report), _ASKED_CHARS)}"]


def _tried(story: Story) -> list[str]:
    report = story.report
    patches = "1 patch was" if report.candidates == 1 else f"{report.candidates} patches were"
    lines = ["### What was tried", "", f"{patches} run against the tests."]
    suspects = [
        [f"- {code(f'{story.path(one.path)}:{one.line}')} {code(one.name)} ({one.score:.2f})"]
        for one in report.suspects
    ]
    lines += _listed("Most suspicious functions:", suspects)
    flaky = [[f"- {code(name)}"] for name in report.flaky]
    lines += _listed("Tests that are flaky, and were no targets:", flaky)
    lacking = [[f"- {code(name)} {prose(what)}"] for name, what in report.lacking.items()]
    return lines + _listed("Tests that can't be run here, and were no targets:", lacking)


def _listed(heading: str, entries: list[list[str]]) -> list[str]:
    if not entries:
        return []
    lines, left_out = some(entries, _LIST_CHARS)
    more = [f"- and {left_out} more"] if left_out else []
    return ["", heading, "", *lines, *more]
