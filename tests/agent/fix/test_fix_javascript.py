"""Repair of JavaScript: what is read off it, and one repair from end to end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.fix.candidate import Candidate
from agent.fix.javascript import NODE, runtime
from agent.fix.javascript.edits import edits
from agent.fix.javascript.suspects import find_suspects
from agent.fix.languages import LANGUAGES, language_of
from agent.fix.suspects import Suspect
from agent.fix.targets import Targets
from tests.agent.cli.conftest import cache, regreen
from tests.verifiers.test_node_suite import need_node
from verifiers.javascript import first_error
from verifiers.repository import File, RepositoryError, Snapshot, runner_names

__all__ = ["cache", "regreen"]

Run = Callable[..., Any]
LIMITS = """'use strict';
const MOST = 3;

class Cart {
  constructor(prices) { this.prices = prices; }
  total() {
    let sum = 0;
    for (let i = 0; i < this.prices.length; i++) { sum += this.prices[i]; }
    return sum;
  }
  isFull() { return this.prices.length > MOST; } // at three
  static of(...prices) { return new Cart(prices); }
}
const label = (cart) => (cart.isFull() ? 'full' : 'room');
module.exports = { Cart, label };
"""
TESTS = """'use strict';
const { describe, it } = require('node:test');
const assert = require('node:assert');
const { Cart, label } = require('../lib/cart.js');

describe('Cart', () => {
  it('adds up', () => { assert.strictEqual(Cart.of(1, 2).total(), 3); });
  it('has room', () => { assert.strictEqual(label(Cart.of(1, 2)), 'room'); });
  it('is full', () => { assert.strictEqual(label(Cart.of(1, 2, 3)), 'full'); });
});
"""
SHOP = {"lib/cart.js": LIMITS, "test/cart.js": TESTS, "lib/other.js": "exports.other = () => 1;\n"}
FULL = "test/cart.js::Cart > is full"
TARGETS = Targets(
    failing={
        FULL: "actual: 'room'\nexpected: 'full'\nAssertionError [ERR_ASSERTION]: x\n"
        "    at TestContext.<anonymous> (test/cart.js:9:33)\n"
    },
    passing=("test/cart.js::Cart > adds up", "test/cart.js::Cart > has room"),
)


def snapshot(files: dict[str, str]) -> Snapshot:
    return Snapshot(files={path: File(content=text.encode()) for path, text in files.items()})


def changed(edit: Candidate) -> str:
    """The line that an edit changes, as it is then."""
    (text,) = edit.texts.values()
    return str(text).splitlines()[edit.places[0].line - 1].strip()


def edited(text: str, detail: str = "") -> list[str]:
    """All that one source's first function may become, on its only line."""
    suspect = Suspect(path="a.js", name="f", line=1, last=text.count("\n") + 1, score=1.0)
    return [changed(one) for one in edits(snapshot({"a.js": text}), [suspect], {"t": detail})]


def test_suspects_are_functions_that_failing_tests_come_to() -> None:
    found = find_suspects(snapshot(SHOP), ("lib/cart.js", "lib/other.js"), TARGETS)
    names = [one.name for one in found]
    assert {"Cart.isFull", "label", "Cart.of", "Cart.constructor", "(module)"} <= set(names)
    assert names[0] == "label"  # of the tests that come to it, most fail
    assert "other" not in names
    assert (found[0].path, found[-1].name) == ("lib/cart.js", "(module)")
    full = next(one for one in found if one.name == "Cart.isFull")
    assert (full.line, full.last) == (11, 11)


def test_a_stack_names_the_function_that_threw() -> None:
    stack = (
        "TypeError: Cannot read properties of undefined (reading 'x')\n"
        "    at Cart.total (lib/cart.js:8:60)\n    at async other (file.mjs:1:1)\n"
        "    at TestContext.<anonymous> (test/cart.js:7:20)\n"
    )
    targets = Targets(failing={"test/cart.js::made at run time": stack})
    found = find_suspects(snapshot(SHOP), ("lib/cart.js",), targets)
    assert (found[0].name, found[0].lines) == ("Cart.total", (8,))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("function f(a, b) { return a < b; }", "function f(a, b) { return a <= b; }"),
        ("function f(a, b) { return a - b; }", "function f(a, b) { return b - a; }"),
        ("function f(a, b) { return a && b; }", "function f(a, b) { return a || b; }"),
        ("function f(a, b) { return a || b; }", "function f(a, b) { return a ?? b; }"),
        ("function f(a) { if (a) return 1; }", "function f(a) { if (!(a)) return 1; }"),
        ("function f(a) { return !a; }", "function f(a) { return a; }"),
        ("function f(a) { return a[1]; }", "function f(a) { return a[2]; }"),
        ("function f(a, i) { return a[i]; }", "function f(a, i) { return a[i - 1]; }"),
        ("const f = (a) => g(a, 1);", "const f = (a) => g(1, a);"),
        ("function f(a) { return a ? 1 : 2; }", "function f(a) { return a ? 2 : 1; }"),
        ("function f(a, b) { return g(a); }", "function f(a, b) { return g(b); }"),
        ("function f(a) { return a.pop(); }", "function f(a) { return a.shift(); }"),
        ("function f(a) { g(a); }", "function f(a) { return g(a); }"),
        ("async function f(a) { return g(a); }", "async function f(a) { return await g(a); }"),
        ("function f(a) { return a.b.c; }", "function f(a) { return a.b?.c; }"),
        ("function f(a) { return a.sort(); }", "function f(a) { return a.sort((a, b) => a - b); }"),
        ("function f(a) { return a.length - 1; }", "function f(a) { return a.length; }"),
        ("function f(a) { a += 1; return a; }", "function f(a) { a -= 1; return a; }"),
        ("function f(a) { a.b(); return a; }", "function f(a) { ; return a; }"),
        ("function f() { return true; }", "function f() { return false; }"),
    ],
)
def test_edits_of_each_kind(text: str, wanted: str) -> None:
    found = edited(text)
    assert wanted in found
    assert len(found) == len(set(found))
    assert text not in found
    assert not [one for one in found if first_error(one)]


def test_edits_leave_the_rest_as_it_is_and_begin_where_a_stack_points() -> None:
    text = "\ufefffunction f(a, b) {\r\n  // grüße\r\n  return a < b;\r\n}\r\nx = '\u2028';\r\n"
    suspect = Suspect(path="a.js", name="f", line=1, last=4, score=1.0, lines=(3,))
    made = list(edits(snapshot({"a.js": text}), [suspect], {"t": "actual: 3\nexpected: 4"}))
    assert made[0].texts["a.js"] == text.replace("a < b", "a <= b")
    assert edited("function f(a) { return a <; }") == []
    assert (
        list(edits(Snapshot(files={"a.js": File(content=b"f = () => '\xff';")}), [suspect], {}))
        == []
    )


def test_what_the_sandbox_needs() -> None:
    def wanted(**files: str) -> list[str]:
        named = {f".{name}": text for name, text in files.items()}
        return [one.requirement for one in runtime(snapshot(named), False)]

    assert wanted() == [NODE]
    assert wanted(nvmrc="v20.11.1\n") == [f"{NODE}==20.*"]
    assert wanted(nvmrc="lts/*\n") == [NODE]


def test_every_runner_has_a_language() -> None:
    assert set(LANGUAGES) == set(runner_names())
    for name in LANGUAGES:
        assert callable(language_of(name).edits)
    with pytest.raises(RepositoryError, match="has no language"):
        language_of("nothing-such")


def test_a_repository_is_repaired(regreen: Run, tmp_path: Path) -> None:
    need_node()
    shop = tmp_path / "shop"
    package = {"node_modules/least/index.js": "module.exports = (a, b) => (a < b ? a : b);\n"}
    needing = TESTS + "require('least')(1, 2);\n"
    for path, text in {**SHOP, **package, "test/cart.js": needing}.items():
        (shop / path).parent.mkdir(parents=True, exist_ok=True)
        (shop / path).write_text(text)
    report = tmp_path / "report.md"
    ended = regreen("fix", shop, "--sandbox", "local", "--json", "--report", report)
    assert ended.code == 0, ended.err
    found = ended.rows[0]
    assert (found["status"], found["files"]) == ("fixed", ["lib/cart.js"])
    assert (found["fixed"], found["still_failing"], found["flaky"]) == ([FULL], [], [])
    assert found["trust"] == "in-process"
    assert found["isolation"].startswith("local/")
    assert "node_modules" not in found["diff"]
    assert (found["tokens_out"], found["cost"]) == (0, 0)
    assert "Cart.isFull" in [one["name"] for one in found["suspects"]]
    assert FULL in report.read_text()
    assert (shop / "lib/cart.js").read_text() == LIMITS  # it only prints
    subprocess.run(["git", "init", "-q"], cwd=shop, check=True)
    subprocess.run(["git", "apply", "-"], cwd=shop, input=found["diff"], text=True, check=True)
    subprocess.run(["node", "test/cart.js"], cwd=shop, check=True, capture_output=True)
    # what a setup command leaves has the installed packages, too
    (shop / "lib/cart.js").write_text(LIMITS)
    prepared = regreen(
        "fix", shop, "--sandbox", "local", "--json", "--setup-cmd", "date > made.txt"
    )
    assert (prepared.code, prepared.rows[0]["status"]) == (0, "fixed"), prepared.err
    # by another runner there is nothing to run
    ended = regreen("fix", shop, "--runner", "pytest", "--json")
    assert (ended.code, ended.rows[0]["status"]) == (3, "environment")
    assert regreen("fix", shop, "--runner", "jest").line.endswith("known are pytest, node")
