"""Every format: it says what it should, and hostile text in it does nothing."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from agent.fix.candidate import unified_diff
from agent.fix.outputs import github, markdown
from agent.fix.outputs.base import Story
from agent.fix.outputs.hunks import replacements
from agent.fix.outputs.registry import UnknownOutputError, find_output, output_names
from agent.fix.outputs.safe import code, fenced, inert, line, plain, prose
from agent.fix.report import FixReport, FixStatus
from verifiers.repository import File, Snapshot

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def write(name: str, story: Story) -> str:
    return find_output(name)(story).decode("utf-8", "surrogatepass")


def test_a_format_that_is_unknown_is_told_with_those_that_are() -> None:
    assert {"junit", "sarif", "markdown", "patch", "commit-message"} <= set(output_names())
    with pytest.raises(UnknownOutputError, match="'jnit': known are commit-message, junit"):
        find_output("jnit")


@pytest.mark.parametrize("name", output_names())
def test_every_format_takes_hostile_text_and_an_empty_story(name: str, hostile: Story) -> None:
    written = write(name, hostile)
    if name not in ("result", "patch"):
        assert STEERING.search(written) is None
    empty = Story(report=FixReport(status=FixStatus.ENVIRONMENT))
    assert isinstance(find_output(name)(empty), bytes)


def test_junit_says_how_the_suite_stands_with_the_patch(fixed: Story) -> None:
    suite = ElementTree.fromstring(write("junit", fixed))[0]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "3", "failures": "0", "errors": "0", "skipped": "1"}
    cases = {(case.get("classname"), case.get("name")) for case in suite.iter("testcase")}
    assert ("tests.test_cart.TestCart", "test_some[a b]") in cases
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties["regreen.confidence"] == "plausible"


def test_junit_of_what_still_fails_or_could_not_be_run(hostile: Story) -> None:
    suite = ElementTree.fromstring(write("junit", hostile))[0]
    assert suite.get("failures") == "40"
    report = FixReport(status=FixStatus.ENVIRONMENT, reason="x.py can't be collected")
    suite = ElementTree.fromstring(write("junit", Story(report=report)))[0]
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


def test_sarif_has_the_patch_as_a_fix(fixed: Story) -> None:
    log = json.loads(write("sarif", fixed.model_copy(update={"folder": "a b"})))
    assert (log["version"], log["$schema"][:8]) == ("2.1.0", "https://")
    run = log["runs"][0]
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20b/tests/test_cart.py"
    assert place["region"] == {"startLine": 9}
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["artifactLocation"]["uri"] == "a%20b/shop/cart.py"
    assert change["replacements"] == [
        {
            "deletedRegion": {"startLine": 3, "startColumn": 1, "endLine": 3},
            "insertedContent": {"text": "    for place in range(0, len(prices)):"},
        }
    ]


def test_sarif_without_a_patch_claims_no_fix(hostile: Story) -> None:
    report = hostile.report.model_copy(update={"diff": ""})
    run = json.loads(write("sarif", hostile.model_copy(update={"report": report})))["runs"][0]
    assert len(run["results"]) == 40
    assert not any("fixes" in result for result in run["results"])
    assert "](" not in run["results"][0]["message"]["text"].replace("\\](", "")


SOURCE = st.text(st.sampled_from("ab\n\n\x0c\u2028-+@"), max_size=30)


@given(old=SOURCE, new=SOURCE)
def test_a_diff_read_back_makes_the_new_text_of_the_old(old: str, new: str) -> None:
    snapshot = Snapshot(files={"x.py": File(content=old.encode())})
    lines = re.findall(r"[^\n]*\n|[^\n]+", old)
    for part in reversed(replacements(unified_diff(snapshot, "x.py", new))):
        assert part.path == "x.py"
        lines[part.first - 1 : part.first - 1 + part.removed] = part.inserted
    assert "".join(lines) == new


def test_git_takes_the_patch_of_a_file_with_form_feeds(tmp_path: Path) -> None:
    old = "a = 1\n\x0c\nb = 2\n# \u2028 x\x0cy\nc = 3"
    new = old.replace("2", "4")
    diff = unified_diff(Snapshot(files={"x.py": File(content=old.encode())}), "x.py", new)
    (tmp_path / "x.py").write_bytes(old.encode())
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff.encode(), check=True)
    assert (tmp_path / "x.py").read_bytes() == new.encode()


def shown(text: str) -> list[Any]:
    """All inline and block tokens, as GitHub's dialect has them."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    return [*tokens, *(child for token in tokens for child in token.children or ())]


def test_the_report_has_all_its_parts(fixed: Story) -> None:
    text = write("markdown", fixed)
    headings = re.findall(r"(?m)^### (.+)$", text)
    assert headings == [
        "What failed", "Cause", "Change", "Proof", "Cost", "What was tried",
    ]  # fmt: skip
    for said in ("`total` in `shop/cart.py:3`", "```diff", "No model was asked", "3 patches were"):
        assert said in text


def test_a_hostile_report_is_no_markup_and_fits_a_body(hostile: Story) -> None:
    text = write("markdown", hostile)
    assert len(text) < markdown.MOST_CHARS
    tokens = shown(text)
    kinds = {token.type for token in tokens}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "table_open"}
    for token in tokens:
        if token.type == "text":
            assert not re.search(r"@\w|#\d|://|(?i:www\.|gh-\d)|deadbeef1", token.content), token


@given(st.text())
def test_prose_shows_what_it_was_given(text: str) -> None:
    tokens = shown(f"- x{prose(text)}x")
    assert {token.type for token in tokens} <= {
        "bullet_list_open", "list_item_open", "paragraph_open", "inline", "text", "text_special",
        "paragraph_close", "list_item_close", "bullet_list_close",
    }  # fmt: skip
    said = "".join(one.content for one in tokens if one.type in ("text", "text_special"))
    assert said.replace("\u200b", "") == f"x{line(text, 500)}x".replace("\u200b", "")


@given(st.text(st.sampled_from("`a \n~")))
def test_code_can_not_be_left(text: str) -> None:
    spans = [token for token in shown(f"- {code(text)}") if token.type == "code_inline"]
    assert len(spans) == 1
    assert spans[0].content.split() == line(text).split()
    blocks = [token for token in shown("\n".join(fenced(text))) if token.type == "fence"]
    assert [block.content.strip("\n") for block in blocks] == [plain(text).strip("\n")]


def test_a_report_that_is_too_long_says_so(hostile: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    diff = "".join(
        f"--- a/x.py\n+++ b/x.py\n@@ -{n},1 +{n},1 @@\n-a\n+{'b' * 90}\n" for n in range(999)
    )
    signs = "&<>@#`*" * 90
    report = hostile.report.model_copy(
        update={"diff": diff, "files": (signs,) * 99, "why": (signs,) * 99, "models": (signs,) * 9}
    )
    long = hostile.model_copy(update={"report": report})
    text = write("markdown", long)
    assert len(text) < markdown.MOST_CHARS
    assert "The rest of the patch is too long for this page." in text
    assert "### What was tried" in text
    monkeypatch.setattr(markdown, "MOST_CHARS", 20_000)
    text = write("markdown", long)
    assert len(text) < 20_000
    assert text.endswith("The rest of the report is too long for this page.\n")


def test_a_commit_message_does_nothing(text: str) -> None:
    message = inert(plain(text))
    for active in ("@octo", "#1", "GH-2", "://", "[skip ci]", "***NO_CI***", "##[", "deadbeef1"):
        assert active in text
        assert active not in message
    assert message.replace("\u200b", "") == plain(text)


def test_annotations_are_ten_lines_and_no_more_commands(hostile: Story, fixed: Story) -> None:
    told = github.workflow_commands(hostile)
    assert len(told) == 10
    for command in told:
        assert re.fullmatch(r"::(notice|error) [^\n\r]+", command)
        properties = command.partition(" ")[2].partition("::")[0]
        assert all("=" in one for one in properties.split(","))
        assert "##[" not in command
    (one,) = github.workflow_commands(fixed.model_copy(update={"folder": "sub"}))
    assert one.startswith("::notice file=sub/shop/cart.py,line=3,endLine=3,title=Regreen::")


def test_the_summary_fits_what_is_left_of_it(fixed: Story) -> None:
    whole = github.summary(fixed)
    assert whole == find_output("markdown")(fixed)
    nearly = github.SUMMARY_BYTES - 200
    assert 0 < len(github.summary(fixed, used=nearly)) < 200
    assert github.summary(fixed, used=github.SUMMARY_BYTES) == b""


def test_step_outputs_are_closed_words(hostile: Story) -> None:
    lines = github.step_outputs(hostile).decode().splitlines()
    assert [one.partition("=")[0] for one in lines] == [
        "status", "confidence", "patched", "cost", "candidates",
    ]  # fmt: skip
    assert "confidence=" in lines
