"""`regreen fix`, run as a command on real small repositories."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.fix.outputs import files, markdown
from agent.fix.outputs.base import Story

Run = Callable[..., Any]
CART = (
    "def total(prices):\n    result = 0\n    for place in range(1, len(prices)):\n"
    "        result += prices[place]\n    return result\n"
)
TESTS = (
    "from cart import total\n\n"
    "def test_none():\n    assert total([]) == 0\n\n"
    "def test_some():\n    assert total([2, 3]) == 5\n"
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "cart.py").write_text(CART)
    (folder / "test_cart.py").write_text(TESTS)
    return folder


def test_a_patch_that_git_takes_and_a_report(regreen: Run, shop: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    ended = regreen("fix", shop, "--sandbox", "local", "--json", "--report", report)
    assert ended.code == 0, ended.err
    found = ended.rows[0]
    assert (found["status"], found["files"]) == ("fixed", ["cart.py"])
    assert found["fixed"] == ["test_cart.py::test_some"]
    assert found["still_failing"] == []
    assert found["trust"] == "in-process"
    assert found["isolation"].startswith("local/")
    assert found["confidence"] == "validated"
    assert (found["tokens_in"], found["tokens_out"], found["cost"]) == (0, 0, 0)
    assert found["suspects"][0]["name"] == "total"
    assert (shop / "cart.py").read_text() == CART  # it only prints
    subprocess.run(["git", "init", "-q"], cwd=shop, check=True)
    subprocess.run(["git", "apply", "-"], cwd=shop, input=found["diff"], text=True, check=True)
    namespace: dict[str, Any] = {}
    exec((shop / "cart.py").read_text(), namespace)
    assert namespace["total"]([2, 3]) == 5
    written = report.read_text()
    assert "test_cart.py::test_some" in written
    assert "```diff" in written


def test_apply_writes_the_file_and_then_nothing_fails(regreen: Run, shop: Path) -> None:
    ended = regreen("fix", shop, "--sandbox", "local", "--apply")
    assert ended.code == 0, ended.err
    assert (shop / "cart.py").read_text() != CART
    again = regreen("fix", shop, "--sandbox", "local", "--json")
    assert again.code == 0
    assert again.rows[0]["status"] == "nothing-failing"
    assert again.rows[0]["candidates"] == 0


def test_what_is_beyond_edits_is_told_with_suspects(regreen: Run, shop: Path) -> None:
    (shop / "cart.py").write_text("def total(prices):\n    raise NotImplementedError\n")
    ended = regreen("fix", shop, "--sandbox", "local", "--candidates", "3", "--json")
    assert ended.code == 1
    found = ended.rows[0]
    assert found["status"] == "not-fixed"
    assert found["diff"] == ""
    assert set(found["still_failing"]) == {"test_cart.py::test_none", "test_cart.py::test_some"}
    assert 0 < found["candidates"] <= 3
    assert found["suspects"][0]["name"] == "total"


def test_a_patch_for_a_part_of_the_failing_tests(regreen: Run, shop: Path, tmp_path: Path) -> None:
    """Two causes, and only one that an edit mends."""
    (shop / "label.py").write_text("def label(name):\n    raise NotImplementedError\n")
    (shop / "test_label.py").write_text(
        "from label import label\n\ndef test_label():\n    assert label('tea') == 'A: tea'\n"
    )
    report, junit = tmp_path / "report.md", tmp_path / "junit.xml"
    words = ("--sandbox", "local", "--report", report, "--junit", junit, "--json")
    ended = regreen("fix", shop, *words)
    assert ended.code == 1, ended.err
    found = ended.rows[0]
    assert (found["status"], found["files"]) == ("partly-fixed", ["cart.py"])
    assert found["fixed"] == ["test_cart.py::test_some"]
    assert found["still_failing"] == ["test_label.py::test_label"]
    assert "1 of 2 failing tests pass now" in found["reason"]
    assert found["confidence"]
    assert "test_label" not in found["message"]
    assert "These fail as before" in report.read_text()
    assert junit.read_text().count("<failure") == 1


def test_half_a_repair_is_none(regreen: Run, shop: Path) -> None:
    """Where a failing test comes to what is changed, it has to pass."""
    (shop / "test_cart.py").write_text(
        f"{TESTS}\ndef test_beyond():\n    assert total([1, 2, 3]) == 'six euros'\n"
    )
    ended = regreen("fix", shop, "--sandbox", "local", "--candidates", "40", "--json")
    found = ended.rows[0]
    assert (ended.code, found["status"], found["diff"]) == (1, "not-fixed", "")
    assert len(found["still_failing"]) == 2


@pytest.mark.parametrize(
    ("tests", "code", "status", "said"),
    [
        ("import nothing_of_that_name\n", 3, "environment", "nothing_of_that_name"),
        ("x = 1\n", 3, "environment", "no test was found"),
        ("def test_a():\n    assert True\n", 0, "nothing-failing", "all 1 tests pass"),
    ],
    ids=["missing dependency", "no tests", "green"],
)
def test_what_is_no_reproducible_failure(
    regreen: Run, shop: Path, tests: str, code: int, status: str, said: str
) -> None:
    (shop / "test_cart.py").write_text(tests)
    ended = regreen("fix", shop, "--sandbox", "local", "--json", "--candidates", "2")
    found = ended.rows[0]
    assert (ended.code, found["status"]) == (code, status)
    assert said in found["reason"]
    assert found["diff"] == ""


def test_a_flaky_test_is_no_target(regreen: Run, shop: Path) -> None:
    """The two runs have different hash seeds, and a test may depend on that."""
    code = "print(''.join(str(hash(letter) % 2) for letter in 'abcdefghijklmnop'))"
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "01"
    )
    letter = next(x for x, a, b in zip("abcdefghijklmnop", first, second, strict=False) if a != b)
    text = f"def test_a():\n    assert hash({letter!r}) % 2\n\ndef test_b():\n    pass\n"
    (shop / "test_cart.py").write_text(text)
    ended = regreen("fix", shop, "--sandbox", "local", "--json")
    found = ended.rows[0]
    assert (ended.code, found["status"]) == (5, "not-reproduced")
    assert found["flaky"] == ["test_cart.py::test_a"]
    assert found["candidates"] == 0


def test_a_named_test_that_passes_is_not_reproduced(regreen: Run, shop: Path) -> None:
    ended = regreen(
        "fix", shop, "--sandbox", "local", "--test", "test_cart.py::test_none", "--json"
    )
    assert (ended.code, ended.rows[0]["status"]) == (5, "not-reproduced")


def test_a_test_that_hangs_is_a_target_and_the_rest_is_known(regreen: Run, shop: Path) -> None:
    (shop / "cart.py").write_text(
        "def total(n):\n    found = 0\n    while n != 0:\n        n += 1\n        found += 1\n"
        "    return found\n"
    )
    (shop / "test_cart.py").write_text(
        "from cart import total\n\ndef test_five():\n    assert total(5) == 5\n\n"
        "def test_none():\n    assert total(0) == 0\n"
    )
    ended = regreen(
        "fix",
        shop,
        "--sandbox",
        "local",
        "--suite-seconds",
        "5",
        "--candidates",
        "25",
        "--json",
        timeout=300,
    )
    found = ended.rows[0]
    assert (ended.code, found["status"]) == (0, "fixed"), ended.err
    assert found["fixed"] == ["test_cart.py::test_five"]


def test_what_hangs_and_is_not_named_is_not_run(regreen: Run, shop: Path) -> None:
    (shop / "test_cart.py").write_text(f"{TESTS}\ndef test_some_more():\n    while True: pass\n")
    ended = regreen(
        "fix",
        shop,
        "--sandbox",
        "local",
        "--suite-seconds",
        "5",
        "--test",
        "test_cart.py::test_some",
        "--formula",
        "dstar",
        "--json",
        timeout=300,
    )
    found = ended.rows[0]
    assert (ended.code, found["status"]) == (0, "fixed"), ended.err
    assert found["fixed"] == ["test_cart.py::test_some"]
    assert not any("heat" in one for one in found["suspects"])


def test_mistakes_are_one_line(regreen: Run, tmp_path: Path) -> None:
    ended = regreen("fix", tmp_path / "nowhere", "--sandbox", "local")
    assert ended.code == 2
    assert "is no folder" in ended.line


def test_a_file_changed_in_the_meantime_is_not_overwritten(
    regreen: Run, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.cli import fix
    from agent.cli.exits import UsageError
    from agent.fix.candidate import Candidate, Place
    from agent.fix.repair import Finalist, Repair
    from agent.fix.targets import Targets
    from sandbox.outcome import Outcome
    from verifiers.repository import take_snapshot
    from verifiers.verdict import Verdict

    snapshot = take_snapshot(shop)
    place = Place(path="cart.py", name="total", line=3)
    patch = Candidate(texts={"cart.py": CART.replace("(1,", "(0,")}, places=(place,))
    verdict = Verdict(outcome=Outcome.PASSED, reward=1.0)
    found = Repair(Targets(), finalists=[Finalist(patch, verdict, proven=True)])
    (shop / "cart.py").write_text("# mine\n" + CART)
    with pytest.raises(UsageError, match="changed while"):
        fix._apply(shop, snapshot, found)
    assert (shop / "cart.py").read_text().startswith("# mine")


def test_every_output_of_one_run_in_a_step_of_github_actions(
    regreen: Run, shop: Path, tmp_path: Path
) -> None:
    """Narrowed by a log, hostile text in the repository, all formats at once."""
    (shop / ".git").mkdir()
    inner = shop / "sub"
    inner.mkdir()
    (inner / "cart.py").write_text(CART + "    # ::error::pwned ##[error]pwned\n")
    (inner / "test_cart.py").write_text(
        TESTS + "\ndef test_other():\n    assert total([4]) == 5, '@octo ::error::x'\n"
    )
    log, out = tmp_path / "log", tmp_path / "out"
    log.write_text("FAILED sub/test_cart.py::test_some - assert 3 == 5\n1 failed in 0.1s\n")
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    summary.write_text("before\n")
    ended = regreen(
        "fix", inner, "--sandbox", "local", "--failed-from", log,
        "--patch", out / "fix.patch", "--report", out / "report.md", "--junit", out / "junit.xml",
        "--sarif", out / "fix.sarif", "--write", f"result={out}/result.json",
        "--write", f"commit-message={out}/message", "--write", f"story={out}/story.json",
        env={
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_OUTPUT": str(outputs),
        },
        timeout=270,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    result = json.loads((out / "result.json").read_text())
    assert result["fixed"] == ["test_cart.py::test_some"]
    assert (out / "fix.patch").read_text() == result["diff"]
    story = Story.model_validate(json.loads((out / "story.json").read_text()))
    assert files.patch(story) == (out / "fix.patch").read_bytes()
    assert markdown.render(story) == (out / "report.md").read_bytes()
    assert (out / "message").read_text().startswith("Fix total in cart.py\n")
    assert 'name="test_some"' in (out / "junit.xml").read_text()
    assert '"uri": "sub/cart.py"' in (out / "fix.sarif").read_text()
    assert summary.read_text() == "before\n" + (out / "report.md").read_text()
    assert "status=fixed\nconfidence=validated\npatched=true\n" in outputs.read_text()
    begin, *_, end = ended.out.splitlines()
    assert begin == f"::stop-commands::{end.strip(':')}"
    commands = [one for one in ended.err.splitlines() if one.lstrip().startswith("::")]
    assert [one.split(",")[0] for one in commands] == ["::notice file=sub/cart.py"]


def test_outputs_that_are_asked_for_wrongly_cost_nothing(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from agent.cli import commands
    from agent.cli.errors import known_error
    from agent.cli.exits import Exit

    for words, said in (
        (("--write", "pdf=x"), "unknown format 'pdf': known are"),
        (("--write", "junit"), "--write takes FORMAT=FILE (given: 'junit')"),
        (("--failed-from", str(tmp_path / "absent")), "can't read"),
    ):
        with pytest.raises(Exception, match=re.escape(said)) as caught:
            commands.run(["fix", str(shop), *words])
        found = known_error(caught.value)
        assert found is not None
        assert found[1] is Exit.USAGE
    green = tmp_path / "##[error].xml"  # in a step of GitHub's, a command anywhere in a line
    green.write_text("<testsuites/>")
    code = commands.run(["fix", str(shop), "--failed-from", str(green), "--json"])
    out = capsys.readouterr().out
    assert "##[" not in out
    result = json.loads(out)
    assert (code, result["status"]) == (5, "not-reproduced")
    assert result["reason"] == "##[error].xml names no failing test"
