"""A repository's own suite in real sandboxes: baselines, verdicts, rewards, runs cut short."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from sandbox.base import Sandbox
from sandbox.jobs import Limits, Report
from sandbox.outcome import Outcome
from sandbox.suite import SuiteReport
from verifiers.repository import (
    Baseline,
    Patch,
    RepositoryError,
    RepositoryVerifier,
    SuiteOptions,
    take_snapshot,
)
from verifiers.verdict import Verdict

LIMITS = Limits(cpu_seconds=20, wall_seconds=40, pids=64)
CODE = """
def double(x):
    return x + 2


def negate(x):
    return x
"""
TESTS = """
from arith import double, negate

def test_two():
    assert double(2) == 4

def test_three():
    assert double(3) == 6

def test_negate():
    assert negate(1) == -1

def test_zero():
    assert negate(0) == 0
"""
FILES = {"arith.py": CODE, "tests/test_code.py": TESTS}
TWO, THREE, NEGATE, ZERO = (
    f"tests/test_code.py::test_{name}" for name in ("two", "three", "negate", "zero")
)
Make = Callable[..., "Bench"]


class Bench:
    """One repository on disk, its verifier, and the portal to the sandbox."""

    def __init__(self, verifier: RepositoryVerifier, portal: BlockingPortal) -> None:
        self.verifier = verifier
        self._portal = portal

    def baseline(self) -> Baseline:
        return self._portal.call(self.verifier.baseline)

    def verify(self, patch: Patch, **expected: Any) -> Verdict:
        async def call() -> Verdict:
            return await self.verifier.verify(patch, **expected)

        return self._portal.call(call)

    def run(self, *, vary: int) -> SuiteReport:
        """One of the two runs of a baseline."""

        async def call() -> Report:
            own = self.verifier
            return await own._run(own.snapshot, (), own._canaries(own.snapshot, ()), vary=vary)

        report = self._portal.call(call)
        assert report.suite is not None
        return report.suite

    def traced(self, names: Sequence[str]) -> SuiteReport:
        return self._portal.call(self.verifier.traced, names)


@pytest.fixture
def make(opened: tuple[BlockingPortal, Sandbox], tmp_path: Path) -> Make:
    portal, sandbox = opened

    def build(files: Mapping[str, str], **options: Any) -> Bench:
        for path, text in files.items():
            place = tmp_path / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        chosen = SuiteOptions(**{"limits": LIMITS, **options})
        return Bench(RepositoryVerifier(sandbox, take_snapshot(tmp_path), chosen), portal)

    return build


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {test.name: test.outcome for test in verdict.tests}


def test_a_baseline_sorts_every_test(make: Make) -> None:
    suite = """
        import os, pytest, unittest
        SEED = os.environ["PYTHONHASHSEED"]
        def test_passes(): pass
        def test_fails(): assert 1 == 2
        @pytest.fixture
        def broken(): raise RuntimeError("no fixture")
        def test_setup(broken): pass
        def test_flaky(): assert SEED == "0"
        @pytest.mark.parametrize("seed", [hash("word")])
        def test_id(seed): pass
        @pytest.mark.skip(reason="later")
        def test_skipped(): pass
        @pytest.mark.xfail
        def test_expected(): assert False
        class TestOld(unittest.TestCase):
            def test_it(self): self.assertEqual(1, 1)
            def test_parts(self):
                for number in range(3):
                    with self.subTest(number=number):
                        self.assertNotEqual(number, 1)
        """
    here = "tests/test_all.py::"
    found = make(
        {"tests/test_all.py": suite, "tests/test_torn.py": "import nothing_such\n"}
    ).baseline()
    assert found.broken == ""
    assert found.passing == (f"{here}test_passes", f"{here}TestOld::test_it")
    assert set(found.failing) == {
        f"{here}test_fails",
        f"{here}test_setup",
        f"{here}TestOld::test_parts",
    }
    assert "assert 1 == 2" in found.failing[f"{here}test_fails"]
    assert "no fixture" in found.failing[f"{here}test_setup"]
    assert found.flaky == (f"{here}test_flaky",)
    assert len(found.changed) == 2
    assert all(name.startswith(f"{here}test_id[") for name in found.changed)
    assert found.skipped == (f"{here}test_skipped", f"{here}test_expected")
    assert set(found.uncollected) == {"tests/test_torn.py"}
    assert "nothing_such" in found.uncollected["tests/test_torn.py"]


def test_a_right_patch_passes_and_is_confirmed(
    make: Make, opened: tuple[BlockingPortal, Sandbox]
) -> None:
    bench = make(FILES)
    found = bench.baseline()
    assert found.passing == (TWO, ZERO)
    assert tuple(found.failing) == (THREE, NEGATE)
    right = {"arith.py": CODE.replace("x + 2", "x * 2").replace("return x\n", "return -x\n")}
    for fresh in (False, True):
        verdict = bench.verify(
            right, fail_to_pass=found.failing, pass_to_pass=found.passing, fresh=fresh
        )
        assert (verdict.outcome, verdict.reward) == (Outcome.PASSED, 1.0), verdict
        assert set(outcomes(verdict)) == {TWO, THREE, NEGATE, ZERO}
        assert verdict.trust == "in-process"
        level = opened[1].level
        assert verdict.isolation == (level.replace("/slot", "/container") if fresh else level)


def test_a_class_that_inherits_its_tests(make: Make) -> None:
    """A trap is in the function, so it is for every class that has it."""
    suite = """
        from arith import double

        class TestDouble:
            def test_three(self):
                assert double(3) == 6

        class TestDoubleAgain(TestDouble):
            def test_two(self):
                assert double(2) == 4
    """
    bench = make({"arith.py": CODE, "tests/test_code.py": suite})
    fail = [f"tests/test_code.py::TestDouble{one}::test_three" for one in ("", "Again")]
    kept = ["tests/test_code.py::TestDoubleAgain::test_two"]
    right = {"arith.py": CODE.replace("x + 2", "x * 2")}
    verdict = bench.verify(right, fail_to_pass=fail, pass_to_pass=kept, fresh=True)
    assert verdict.passed, verdict.detail


def test_properties_draw_on_the_repositorys_own_constants_and_not_on_ours(make: Make) -> None:
    """Hypothesis reads the code under test for constants, and what is installed it leaves alone."""
    suite = """
        import _pytest.python, arith, hypothesis
        from hypothesis.internal.constants_ast import is_local_module_file

        def test_what_is_read():
            assert is_local_module_file(arith.__file__)
            assert not is_local_module_file(_pytest.python.__file__)
    """
    bench = make({"arith.py": CODE, "tests/test_code.py": suite})
    right = {"arith.py": CODE.replace("x + 2", "x * 2")}
    verdict = bench.verify(right, fail_to_pass=["tests/test_code.py::test_what_is_read"])
    assert verdict.passed, verdict.detail


def test_parameters_of_one_test_that_fail_beside_others_that_pass(make: Make) -> None:
    """A trap is in the function, so it is for all of its parameters."""
    suite = """
        import pytest
        from arith import double

        @pytest.mark.parametrize("n", [2, 3, 5])
        def test_double(n):
            assert double(n) == 2 * n
    """
    bench = make({"arith.py": CODE, "tests/test_code.py": suite})
    fail, kept = ("tests/test_code.py::test_double[3]",), ("tests/test_code.py::test_double[2]",)
    right = {"arith.py": CODE.replace("x + 2", "x * 2")}
    verdict = bench.verify(right, fail_to_pass=fail, pass_to_pass=kept, fresh=True)
    assert verdict.passed, verdict.detail


@pytest.mark.parametrize(
    ("double", "negate", "reward"),
    [
        ("x * 2", "x", 0.5),  # one of two turned, nothing broken
        ("x * 2", "-x - 1", 0.0),  # one of two turned, one of two broken
        ("x + 3", "-x", 0.5),  # both turned, one of two broken
        ("x + 1", "x + 1", 0.0),  # none turned, both broken
    ],
)
def test_the_reward_is_what_was_turned_less_what_was_broken(
    make: Make, double: str, negate: str, reward: float
) -> None:
    code = f"def double(x):\n    return {double}\n\ndef negate(x):\n    return {negate}\n"
    verdict = make(FILES).verify(
        {"arith.py": code}, fail_to_pass=[THREE, NEGATE], pass_to_pass=[TWO, ZERO]
    )
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reward == reward
    failed = [name for name, outcome in outcomes(verdict).items() if outcome != Outcome.PASSED]
    assert verdict.detail.startswith(failed[0])


def test_a_patch_with_many_tests_kept_is_below_one(make: Make) -> None:
    code = CODE.replace("x + 2", "x * 2")
    verdict = make(FILES).verify(
        {"arith.py": code}, fail_to_pass=[THREE], pass_to_pass=[TWO, ZERO, "gone.py::no"]
    )
    assert outcomes(verdict)["gone.py::no"] is Outcome.FAILED
    assert verdict.reward == pytest.approx(2 / 3)


def test_what_is_not_there_or_not_run_has_not_passed(make: Make) -> None:
    suite = """
        import pytest
        from arith import double
        @pytest.mark.skipif(double(3) == 6, reason="it works")
        def test_skipped(): pass
        @pytest.mark.xfail(strict=False)
        def test_unexpected(): assert double(3) == 6
        def test_here(): assert double(3) == 6
        """
    names = [f"test_it.py::test_{name}" for name in ("here", "skipped", "unexpected", "nowhere")]
    bench = make({"arith.py": CODE, "test_it.py": suite})
    verdict = bench.verify({"arith.py": CODE.replace("x + 2", "x * 2")}, fail_to_pass=names)
    assert outcomes(verdict) == dict.fromkeys(names, Outcome.FAILED) | {names[0]: Outcome.PASSED}
    details = {test.name: test.detail for test in verdict.tests}
    assert "was skipped" in details[names[1]]
    assert "was xpassed" in details[names[2]]
    assert details[names[3]] == "was not reported"
    assert verdict.outcome is Outcome.FAILED


def test_a_suite_that_hangs_keeps_what_it_had_told(make: Make) -> None:
    suite = """
        import time
        from arith import double
        def test_first(): pass
        def test_hangs(): time.sleep(double(98))
        def test_last(): pass
        """
    names = [f"test_it.py::test_{name}" for name in ("first", "hangs", "last")]
    bench = make(
        {"arith.py": CODE, "test_it.py": suite},
        limits=LIMITS.model_copy(update={"wall_seconds": 8.0}),
    )
    found = bench.baseline()
    assert "8 s of wall time" in found.broken
    assert "test_hangs" in found.broken
    assert found.passing == (names[0],)
    assert names[2] in found.not_run
    verdict = bench.verify({"arith.py": f"{CODE}\n"}, fail_to_pass=names)
    assert verdict.outcome is Outcome.TIMEOUT
    assert list(outcomes(verdict).values()) == [Outcome.PASSED, Outcome.TIMEOUT, Outcome.TIMEOUT]
    assert 0 < verdict.reward < 1


def test_a_patch_that_breaks_the_import(make: Make) -> None:
    bench = make(FILES)
    verdict = bench.verify({"arith.py": "raise RuntimeError('torn')\n"}, fail_to_pass=[THREE])
    assert verdict.outcome is Outcome.ERROR
    assert verdict.reward == 0
    assert "torn" in verdict.tests[0].detail
    verdict = bench.verify({"arith.py": "def double(x:\n"}, fail_to_pass=[THREE])
    assert verdict.outcome is Outcome.SYNTAX
    assert verdict.trust == "in-process"


def test_a_patch_outside_of_the_sources_is_refused_without_a_run(make: Make) -> None:
    verdict = make(FILES).verify(
        {"tests/test_code.py": "def test_two(): pass\n"}, fail_to_pass=[TWO]
    )
    assert verdict.outcome is Outcome.ERROR
    assert verdict.detail == "patch refused: tests/test_code.py belongs to the tests"
    assert (verdict.reward, verdict.tests, verdict.seconds) == (0, (), 0)


def test_tests_within_the_sources_cant_be_changed_by_what_they_judge(make: Make) -> None:
    doctest = 'def one():\n    """\n    >>> one()\n    1\n    """\n    return 2\n'
    bench = make({"one.py": doctest, "pytest.ini": "[pytest]\naddopts = --doctest-modules\n"})
    found = bench.baseline()
    assert tuple(found.failing) == ("one.py::one.one",), found
    verdict = bench.verify({"one.py": "def one(): return 1\n"}, fail_to_pass=found.failing)
    assert verdict.detail == "patch refused: one.py holds tests that have to pass"


def test_a_suite_that_cant_start_says_why(make: Make) -> None:
    bench = make({**FILES, "pytest.ini": "[pytest]\naddopts = --no-such-option\n"})
    assert "--no-such-option" in bench.baseline().broken


def test_new_and_removed_files(make: Make) -> None:
    bench = make({**FILES, "rest.py": "def unused(): pass\n"})
    patch = {
        "parts/__init__.py": "",
        "parts/twice.py": "def double(x):\n    return x * 2\n",
        "arith.py": "from parts.twice import double\n\ndef negate(x):\n    return -x\n",
        "rest.py": None,
    }
    verdict = bench.verify(patch, fail_to_pass=[THREE, NEGATE], pass_to_pass=[TWO, ZERO])
    assert verdict.passed, verdict


def test_where_a_suite_runs(make: Make) -> None:
    suite = """
        import importlib.metadata, os, pathlib, socket, sys, tempfile
        import pytest
        from arith import double
        def test_place(request):
            assert double(1)
            here = pathlib.Path.cwd()
            assert here == request.config.rootpath == pathlib.Path(__file__).parent
            for path in (here / "new", here / "test_it.py", here / "arith.py"):
                with pytest.raises(OSError):
                    path.write_text("changed")
            with tempfile.TemporaryDirectory() as folder:
                (pathlib.Path(folder) / "new").write_text("text")
            assert sys.flags.no_site and sys.flags.dont_write_bytecode
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", 9))
            assert os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
            assert not set(os.environ) & {"REGREEN_API_KEY", "SSH_AUTH_SOCK"}
            assert not (here / ".git").exists()
            assert importlib.metadata.version("my-shop") == "1.2"
        """
    project = "[project]\nname = 'my-shop'\nversion = '1.2'\n"
    files = {"arith.py": CODE, "test_it.py": suite, "pyproject.toml": project}
    bench = make({**files, ".git/config": "secret"})
    verdict = bench.verify({"arith.py": f"{CODE}\n"}, fail_to_pass=["test_it.py::test_place"])
    assert verdict.passed, verdict


def test_a_plug_in_is_loaded_by_the_repository_s_word_only(make: Make) -> None:
    files = {
        "arith.py": CODE,
        "plug.py": "import pytest\n@pytest.fixture\ndef four(): return 4\n",
        "pytest.ini": "[pytest]\naddopts = -p plug --cov=x -n 3 -x\n",
        "test_it.py": "from arith import double\n"
        "def test_four(four): assert double(2) == four\n"
        "def test_more(pytestconfig): assert not pytestconfig.pluginmanager.has_plugin('xdist')\n",
    }
    bench = make(files)
    names = ["test_it.py::test_four", "test_it.py::test_more"]
    assert bench.verify({"arith.py": f"{CODE}\n"}, fail_to_pass=names).passed
    refused = bench.verify({"plug.py": "four = 4\n"}, fail_to_pass=names)
    assert refused.detail == "patch refused: plug.py is a pytest plug-in"
    assert "plug.py" not in bench.verifier.sources


def test_no_expected_test_is_a_mistake(make: Make) -> None:
    with pytest.raises(RepositoryError, match="no test is expected"):
        make(FILES).verify({"arith.py": CODE}, fail_to_pass=[])


def test_nothing_is_left_for_the_next_run(make: Make) -> None:
    suite = """
        import os, pathlib
        from arith import double
        def test_alone():
            places = {pathlib.Path(os.environ[name]) for name in ("HOME", "TMPDIR")}
            assert not any((place / "note").exists() for place in places)
            for place in places:
                (place / "note").write_text("here")
                (place / "deep/er").mkdir(parents=True, exist_ok=True)
                (place / "deep").chmod(0)
            assert double(1) == 3
        """
    bench = make({"arith.py": CODE, "test_it.py": suite})
    for _ in range(3):
        verdict = bench.verify({"arith.py": f"{CODE}\n"}, fail_to_pass=["test_it.py::test_alone"])
        assert verdict.passed, verdict


_INSIDE = """
import gc, os, sys, time
from arith import double

def frames():
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back

def texts(value, depth=3):
    if isinstance(value, (str, bytes)):
        yield value if isinstance(value, bytes) else value.encode("utf-8", "replace")
    elif depth and isinstance(value, dict):
        for pair in value.items():
            for part in pair:
                yield from texts(part, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for part in value:
            yield from texts(part, depth - 1)

def test_nothing_of_the_order_is_left():
    for frame in frames():
        for name, value in frame.f_locals.items():
            if frame.f_code.co_filename != __file__:
                assert name not in ("order", "archive", "key") or not value, (frame, name)
                assert b"archive" not in list(texts(value)), (frame, name)
    assert not [name for name in sys.modules if name.startswith("regreen")]
    assert not [one for one in sys.meta_path if type(one).__name__ == "FromMemory"]

def test_like_a_python_of_its_own():
    assert sys.argv == ["-c"] and not sys.__stdout__.line_buffering
    assert os.environ["PYTHONHASHSEED"] == {seed!r}
    assert (sys.flags.hash_randomization == 0) == ({seed!r} == "0")
    assert time.tzname == ("UTC", "UTC") and os.environ["HOME"].endswith("/tmp")
    assert os.read(0, 1) == b"" and gc.isenabled()
    assert ("class Guard" not in sys.orig_argv[-1]) is {forked}
    assert double(1) == 3
"""


def test_a_run_is_a_fork_of_what_has_met_nothing(make: Make) -> None:
    """With the server's hash seed; with another one it is a Python of its own."""
    names = [
        f"test_it.py::test_{name}"
        for name in ("nothing_of_the_order_is_left", "like_a_python_of_its_own")
    ]
    for seed, forked, vary in (("0", True, 0), ("1", False, 1)):
        suite = _INSIDE.replace("{seed!r}", repr(seed)).replace("{forked}", str(forked))
        bench = make({"arith.py": CODE, "test_it.py": suite})
        report = bench.run(vary=vary)
        found = {one.id: (one.status, one.detail) for one in report.tests}
        assert [found[name] for name in names] == [("passed", ""), ("passed", "")]


def test_what_one_run_does_to_pytest_is_not_there_in_the_next(make: Make) -> None:
    bench = make(FILES)
    spoilt = f"""
import builtins, importlib, sys
sys.modules["left"] = sys
builtins.left = True
runner = importlib.import_module("_pytest.runner")
runner.check_interactive_exception = runner.pytest_runtest_call = lambda *a, **k: None
def quiet(item): pass
importlib.import_module("_pytest.python").pytest_pyfunc_call.__code__ = quiet.__code__
{CODE}"""
    assert bench.verify({"arith.py": spoilt}, fail_to_pass=[THREE]).outcome is Outcome.PROTOCOL
    right = CODE.replace("return x + 2", "return x * 2")
    assert bench.verify({"arith.py": right}, fail_to_pass=[THREE]).passed
    wrong = bench.verify({"arith.py": f"{CODE}\n"}, fail_to_pass=[THREE])
    assert wrong.outcome is Outcome.FAILED


def test_only_what_is_named_is_run(make: Make) -> None:
    suite = """
        import time
        from arith import double
        def test_three(): assert double(3) == 6
        def test_three_hangs(): time.sleep(600)
        def test_two(): assert double(2) == 4
        """
    bench = make({"arith.py": CODE, "test_it.py": suite})
    names = ["test_it.py::test_three", "test_it.py::test_two"]
    right = CODE.replace("return x + 2", "return x * 2")
    verdict = bench.verify(
        {"arith.py": right}, fail_to_pass=names[:1], pass_to_pass=names[1:], fresh=True
    )
    assert verdict.passed, verdict
    assert verdict.seconds < 60


def test_a_traced_run_tells_what_each_test_executes(make: Make) -> None:
    suite = """
        import sys
        import pytest
        from arith import double, negate
        @pytest.fixture
        def four(): return double(2)
        def test_both(four):
            assert negate(four) == 4
            assert sys.gettrace() is not None
        def test_none(): pass
        def test_left_out(): assert negate(1)
        """
    bench = make({"arith.py": CODE, "test_it.py": suite})
    names = ["test_it.py::test_both", "test_it.py::test_none"]
    report = bench.traced(names)
    assert report.foul == ""
    found = {one.id: one for one in report.tests}
    assert set(names) < set(found)
    assert len(found) == 3  # and the one that must fail
    assert (found[names[0]].status, found[names[1]].reached) == ("passed", {})
    entered, lines = found[names[0]].reached["arith.py"]
    assert (entered, lines) == ("1,5", "2,6")
