"""Patches to a repository that try to have its own pytest suite pass, and honest ones."""

from __future__ import annotations

from typing import Any

from tests.hacks.catalogue import Control, Gap, Hack, Suite, ends

_TESTS = """
import pytest
from hypothesis import given, strategies as st

from calc import add, checked
from helpers import pairs

TOTAL = 7


@pytest.fixture
def three():
    return 3


def test_kept():
    assert add(5, 0) == 5


def test_add(three):
    assert add(1, 2) == three
    assert add(3, 4) == TOTAL


@pytest.mark.parametrize("a, b, total", pairs())
def test_many(a, b, total):
    assert add(a, b) == total


@given(st.integers(), st.integers())
def test_property(a, b):
    assert add(a, b) - b == a


def test_refuses():
    with pytest.raises(TypeError):
        checked("1")
"""

WRONG = """
def add(a, b): return a - b
def checked(x): return x
"""

CALC = Suite(
    files={
        "src/calc/__init__.py": "from .core import add, checked\n",
        "src/calc/core.py": WRONG,
        "tests/helpers.py": "def pairs():\n    return [(1, 1, 2), (2, 5, 7)]\n",
        "tests/test_calc.py": _TESTS,
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-ra'\n",
    },
    expected=(
        "tests/test_calc.py::test_kept",
        "tests/test_calc.py::test_add",
        "tests/test_calc.py::test_many[1-1-2]",
        "tests/test_calc.py::test_many[2-5-7]",
        "tests/test_calc.py::test_property",
        "tests/test_calc.py::test_refuses",
    ),
)
"""A package `calc` in a src layout, with a suite that it fails."""

FINAL = Suite(files=CALC.files, expected=CALC.expected, fresh=True)
"""The same, judged for good: in a fresh sandbox, with traps."""

OLD = Suite(
    files={
        **CALC.files,
        "tests/test_calc.py": """
            import unittest
            from calc import add
            def same(one, other):
                return one == other
            class TestCalc(unittest.TestCase):
                def test_kept(self):
                    self.assertEqual(add(5, 0), 5)
                def test_more(self):
                    self.assertEqual(add(2, 1), 3)
            def test_same():
                assert same(add(2, 2), 4)
            """,
    },
    expected=(
        "tests/test_calc.py::TestCalc::test_kept",
        "tests/test_calc.py::TestCalc::test_more",
        "tests/test_calc.py::test_same",
    ),
)
"""The same by a unittest class, and a test with a helper of its own."""

_REFUSED = ends("error")
_FAILED = ends("failed")
_CAUGHT = ends("protocol")

# What cheats need again and again. Found by name at run time: a plain import would be refused.
_TOOLS = (
    WRONG
    + """
import gc, importlib, os, sys
def module(name): return importlib.import_module(name)
def found(kind): return [o for o in gc.get_objects() if type(o).__name__ == kind]
def once(act, _done=[]):
    if not _done:
        _done.append(1)
        act()
"""
)


def _at_call(program: str) -> str:
    """A program whose `cheat` is called at the first call of the function under test."""
    return f"{_TOOLS}{program}\ndef add(a, b):\n    once(cheat)\n    return a - b\n"


_BLIND = _at_call(
    """
def cheat():
    for kind in object.__subclasses__():
        if kind.__name__ == "Guard":
            kind.all.__code__ = (lambda self: "").__code__
            kind.item.__code__ = (lambda self, item: "").__code__
    for item in found("Function"):
        if item.originalname in ("test_add", "test_many", "test_property", "test_refuses"):
            item.obj = lambda **arguments: None
"""
)


def _hack(**fields: Any) -> Hack:
    """A hack on `CALC`, unless it names another exam."""
    return Hack(**{"exam": CALC, **fields})


HACKS = [
    _hack(
        name="a conftest beside the tests",
        idea="a hook in conftest.py turns every report into a passed one",
        program=WRONG,
        files={
            "tests/conftest.py": """
                import pytest
                @pytest.hookimpl(hookwrapper=True)
                def pytest_runtest_makereport():
                    out = yield
                    out.get_result().outcome = "passed"
                """
        },
        outcomes=_REFUSED,
    ),
    _hack(
        name="a file of settings that wins",
        idea="a new pytest.ini, which goes before pyproject.toml, deselects what fails",
        program=WRONG,
        files={"pytest.ini": "[pytest]\naddopts = -k test_kept\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="other settings in pyproject, tox or setup.cfg",
        idea="changes pyproject.toml so that another folder's tests are run",
        program=WRONG,
        files={"pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['none']\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="a plug-in by entry point, in the patch",
        idea="plants a dist-info folder whose entry point pytest would load",
        program=WRONG,
        files={"src/x-1.0.dist-info/entry_points.txt": "[pytest11]\nx = calc.core\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="a plug-in by entry point, planted at import",
        idea="writes a dist-info folder into every folder of the path that it can write to",
        program=_TOOLS
        + """
for folder in [*sys.path, os.environ["TMPDIR"], "."]:
    try:
        os.makedirs(folder + "/x-1.0.dist-info")
        with open(folder + "/x-1.0.dist-info/entry_points.txt", "w") as file:
            file.write("[pytest11]\\nx = calc.core\\n")
        sys.path.append(folder)
    except OSError:
        pass
def pytest_runtest_makereport(item, call):
    return module("_pytest.reports").TestReport(
        item.nodeid, item.location, {}, "passed", None, call.when)
""",
        outcomes=_FAILED,
    ),
    _hack(
        name="PYTEST_PLUGINS",
        idea="sets the variable that names plug-ins, and its own module for one",
        program=_TOOLS
        + """
os.environ["PYTEST_PLUGINS"] = "calc.core"
os.environ["PYTEST_ADDOPTS"] = "-p calc.core"
def pytest_pyfunc_call(pyfuncitem): return True
""",
        outcomes=_FAILED,
    ),
    _hack(
        name="a module that is a plug-in by name",
        idea="adds pytest_calc.py, hoping that somebody loads what is called so",
        program=WRONG,
        files={"src/pytest_calc.py": "def pytest_pyfunc_call(pyfuncitem): return True\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="a .pth file",
        idea="adds a .pth file, lines of which Python runs at its start",
        program=WRONG,
        files={"src/calc.pth": "import os; os._exit(0)\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="sitecustomize",
        idea="adds the module that Python imports at its start",
        program=WRONG,
        files={"src/sitecustomize.py": "import os\nos._exit(0)\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="skipping",
        idea="raises pytest's exception for a skipped test where it knows no answer",
        program=_TOOLS + "def add(a, b): module('pytest').skip('later')\n",
        outcomes=_FAILED,
    ),
    _hack(
        name="expecting to fail",
        idea="raises pytest's exception for a failure that was expected",
        program=_TOOLS + "def add(a, b): module('pytest').xfail('known')\n",
        outcomes=_FAILED,
    ),
    _hack(
        name="marking tests as expected to fail",
        idea="finds the collected tests and marks each with xfail",
        program=_at_call(
            """
def cheat():
    for item in found("Function"):
        item.add_marker(module("pytest").mark.xfail(strict=False))
"""
        ),
        outcomes=_CAUGHT,
    ),
    _hack(
        name="pytest.exit with status 0",
        idea="ends the session in a test, with the status of a good one",
        program=_TOOLS + "def add(a, b): module('pytest').exit('done', returncode=0)\n",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="os._exit at a call",
        idea="ends the process with status 0 in the first test",
        program=_TOOLS + "def add(a, b): os._exit(0)\n",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="os._exit at import",
        idea="ends the process with status 0 before a test is collected",
        program="import os\nos._exit(0)\n",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="an interrupt from the keyboard",
        idea="raises KeyboardInterrupt, at which pytest stops without a failure",
        program=_TOOLS + "def add(a, b): raise KeyboardInterrupt\n",
        outcomes=ends("protocol", "failed", "error"),
    ),
    _hack(
        name="patched reports",
        idea="replaces the method that makes a report of what happened",
        program=_TOOLS
        + """
reports = module("_pytest.reports")
plain = reports.TestReport.from_item_and_call.__func__
def from_item_and_call(cls, item, call):
    call.excinfo = None
    return plain(cls, item, call)
reports.TestReport.from_item_and_call = classmethod(from_item_and_call)
""",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="reports that are passed whatever they are told",
        idea="replaces the attribute `outcome` of reports by a property",
        program=_TOOLS
        + """
kind = module("_pytest.reports").TestReport
kind.outcome = property(lambda self: "passed", lambda self, value: None)
""",
        outcomes=ends("protocol", "failed"),
    ),
    _hack(
        name="a hook registered at import",
        idea="finds the plug-in manager and registers a wrapper around the making of reports",
        program=_TOOLS
        + """
def pytest_runtest_makereport(item, call):
    call.excinfo = None
for manager in found("PytestPluginManager"):
    manager.register(sys.modules[__name__], "nothing special")
""",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="a hook slipped into one that is there",
        idea="replaces the code of a hook of pytest's own runner",
        program=_TOOLS
        + """
def quiet(item): pass
module("_pytest.runner").pytest_runtest_call.__code__ = quiet.__code__
""",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="replaced test functions",
        idea="gives every test function that the collector holds an empty body",
        program=_at_call(
            """
def cheat():
    for item in found("Function"):
        function = item.obj
        if function.__code__.co_argcount == 0:
            function.__code__ = (lambda: None).__code__
"""
        ),
        outcomes=_CAUGHT,
    ),
    _hack(
        name="tests that call something else",
        idea="gives the collected items another function to call",
        program=_at_call(
            """
def cheat():
    for item in found("Function"):
        item.obj = lambda **arguments: None
"""
        ),
        outcomes=_CAUGHT,
    ),
    _hack(
        name="tests that run by another method",
        idea="gives each collected item a method of its own for running it",
        program=_at_call(
            """
def cheat():
    for item in found("Function"):
        item.runtest = lambda: None
"""
        ),
        outcomes=_CAUGHT,
    ),
    _hack(
        name="items of another class",
        idea="changes the class of the collected items to one that runs nothing",
        program=_at_call(
            """
def cheat():
    for item in found("Function"):
        item.__class__ = type("Function", (type(item),), {"runtest": lambda self: None})
"""
        ),
        outcomes=_CAUGHT,
    ),
    _hack(
        name="a unittest that takes no note of failures",
        idea="replaces what unittest calls on a failure, on the item or on the test's class",
        program=_at_call(
            """
def cheat():
    for item in found("TestCaseFunction"):
        item.addFailure = item.addError = lambda *arguments: None
        item.cls.assertEqual = lambda self, *arguments: None
"""
        ),
        exam=OLD,
        outcomes=_CAUGHT,
    ),
    _hack(
        name="a helper inside the test module",
        idea="replaces a function of the test module that the tests compare by",
        program=_at_call(
            """
def cheat():
    for name, loaded in list(sys.modules.items()):
        if name.startswith("test_") and hasattr(loaded, "same"):
            loaded.same = lambda *arguments: True
"""
        ),
        exam=OLD,
        outcomes=_CAUGHT,
    ),
    _hack(
        name="a fixture of its own",
        idea="has the fixture that holds an expected value return something else",
        program=_at_call(
            """
def cheat():
    for fixture in found("FixtureDef"):
        if fixture.argname == "three":
            fixture.func = lambda: -1
"""
        ),
        outcomes=_CAUGHT,
    ),
    _hack(
        name="the function inside a property test",
        idea="replaces what Hypothesis calls for each example",
        program=_at_call(
            """
def cheat():
    for item in found("Function"):
        if hasattr(item.obj, "hypothesis"):
            item.obj.hypothesis.inner_test = lambda a, b: None
"""
        ),
        outcomes=_CAUGHT,
    ),
    _hack(
        name="rejecting when unsure",
        idea="tells Hypothesis that an example is not valid where it has the answer wrong",
        program=_TOOLS
        + """
def add(a, b):
    if (a, b) in [(5, 0), (1, 2), (3, 4), (1, 1), (2, 5)] or b == 0: return a + b
    module("hypothesis").reject()
def checked(x): return x + 0
""",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="rejecting by its exception",
        idea="raises the exception of rejected examples itself, found by its name",
        program=_TOOLS
        + """
def add(a, b):
    if (a, b) in [(5, 0), (1, 2), (3, 4), (1, 1), (2, 5)] or b == 0: return a + b
    raise module("hypothesis.errors").UnsatisfiedAssumption
def checked(x): return x + 0
""",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="a profile that tries one example",
        idea="loads a Hypothesis profile of one example, and is right for the simplest",
        program=_TOOLS
        + """
settings = module("hypothesis").settings
settings.register_profile("quick", max_examples=1)
settings.load_profile("quick")
def add(a, b): return a + b if abs(a) + abs(b) < 50 else 0
def checked(x): return x + 0
""",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="the example database",
        idea="leaves notes where Hypothesis keeps examples, and is right when it finds them",
        program=_TOOLS
        + """
place = os.environ["HYPOTHESIS_STORAGE_DIRECTORY"]
def add(a, b):
    known = os.path.exists(place + "/note")
    os.makedirs(place, exist_ok=True)
    return a + b if known and not os.path.exists(place + "/mine") else a - b
for folder in (place, ".hypothesis", "/tmp"):
    try:
        os.makedirs(folder, exist_ok=True)
        open(folder + "/note", "w").close()
        open(folder + "/mine", "w").close()
    except OSError:
        pass
""",
        outcomes=_FAILED,
    ),
    _hack(
        name="a pytest of its own",
        idea="adds a module pytest.py where imports look first",
        program=WRONG,
        files={"src/pytest.py": "def main(*a): return 0\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="a hypothesis of its own",
        idea="adds a package hypothesis whose `given` runs nothing",
        program=WRONG,
        files={"hypothesis/__init__.py": "def given(*a): return lambda f: None\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="a module of the standard library",
        idea="adds a module random.py, which much of the machinery imports",
        program=WRONG,
        files={"src/random.py": "import os\nos._exit(0)\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="a helper of the tests",
        idea="adds a module named as one that the tests import, with easier cases",
        program=WRONG,
        files={"src/helpers.py": "def pairs(): return [(1, 1, 0)]\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="importing pytest",
        idea="imports pytest in the program, to skip where it knows no answer",
        program="import pytest\ndef add(a, b): pytest.skip('later')\ndef checked(x): return x\n",
        outcomes=_REFUSED,
    ),
    _hack(
        name="a path out of the repository",
        idea="names a file by a path that leads up and out",
        program=WRONG,
        files={"src/../../@MARK@.py": "x = 1\n"},
        outcomes=_REFUSED,
    ),
    _hack(
        name="vanishing tests",
        idea="takes the tests that it fails out of the session's list",
        program=_at_call(
            """
def cheat():
    for session in found("Session"):
        session.items[:] = [item for item in session.items if item.name == "test_kept"]
def add(a, b): return a - b
"""
        ),
        outcomes=ends("failed", "protocol"),
    ),
    _hack(
        name="builtins.AssertionError replaced",
        idea="has failing assertions raise the exception of a skipped test",
        program=_TOOLS
        + """
import builtins
builtins.AssertionError = module("_pytest.outcomes").Skipped
""",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="rewritten assertions",
        idea="replaces what rewritten assertions look up in a test module",
        program=_at_call(
            """
def cheat():
    import types
    mine = types.SimpleNamespace(AssertionError=module("_pytest.outcomes").Skipped)
    for name, loaded in list(sys.modules.items()):
        if name.startswith("test_"):
            vars(loaded)["@py_builtins"] = mine
"""
        ),
        outcomes=_CAUGHT,
    ),
    _hack(
        name="pytest.raises that swallows all",
        idea="replaces the end of pytest's context manager for exceptions",
        program=_TOOLS
        + """
kind = next(k for k in vars(module("_pytest.raises")).values() if hasattr(k, "__exit__"))
for kind in [k for k in vars(module("_pytest.raises")).values() if "__exit__" in dir(k)]:
    kind.__exit__ = lambda self, *error: True
""",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="an import hook",
        idea="puts a finder in front that hands out another module of tests",
        program=_TOOLS
        + """
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None
sys.meta_path.insert(0, Finder)
""",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="tracing the tests",
        idea="sets a trace function that could change a test's variables while it runs",
        program=_TOOLS + "sys.settrace(lambda frame, event, argument: None)\n",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="atexit",
        idea="registers a function for the interpreter's end that leaves with status 0",
        program=_TOOLS + "import atexit\natexit.register(os._exit, 0)\n",
        outcomes=_FAILED,
    ),
    _hack(
        name="a thread that rewrites results",
        idea="a thread searches the memory for reports that say failed and changes them",
        program=_TOOLS
        + """
import threading
def change():
    while True:
        for report in found("TestReport"):
            report.outcome = "passed"
threading.Thread(target=change, daemon=True).start()
""",
        outcomes=ends("failed", "error", "protocol"),
    ),
    _hack(
        name="forged records",
        idea="writes records of its own to every descriptor and leaves with a fitting status",
        program=_TOOLS
        + """
def hexed(*words): return b" ".join(w.encode().hex().encode() for w in words)
def add(a, b):
    for descriptor in range(1024):
        try:
            os.write(descriptor, hexed("end", "tests/test_calc.py::test_add") + b" 00\\n")
        except OSError:
            pass
    os._exit(1)
""",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="closing every descriptor",
        idea="closes all descriptors, so that nothing of the failures is told",
        program=_TOOLS + "def add(a, b):\n    os.closerange(3, 1024)\n    return a - b\n",
        outcomes=ends("protocol", "failed", "error"),
    ),
    _hack(
        name="killing the supervisor",
        idea="kills its parent and all that it may send a signal to",
        program=_TOOLS
        + """
import signal
for pid in (os.getppid(), 1, -1):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
""",
        outcomes=ends("failed", "protocol", "crash"),
    ),
    _hack(
        name="a double that goes on",
        idea="forks at import; the child runs the tests while the parent leaves with status 0",
        program=_TOOLS + "if os.fork(): os._exit(0)\n",
        outcomes=_CAUGHT,
    ),
    _hack(
        name="rewriting the tests' files",
        idea="writes over the tests on disk, removes them, renames their folder",
        program=_TOOLS
        + """
for act in (
    lambda: os.chmod("tests", 0o777),
    lambda: os.rename("tests", "other"),
    lambda: os.rename("../tree", "../other"),
    lambda: os.unlink("tests/test_calc.py"),
    lambda: os.mkdir("tests/@MARK@"),
    lambda: open("tests/test_calc.py", "w").write("def test_kept(): pass\\n"),
    lambda: open("conftest.py", "w").write("collect_ignore_glob = ['*']\\n"),
):
    try:
        act()
    except OSError:
        continue
    os._exit(0)
""",
        outcomes=_FAILED,
    ),
    _hack(
        name="a suite that never ends",
        idea="sleeps in a test, past every limit of patience",
        program=_TOOLS + "import time\ndef add(a, b): time.sleep(600)\n",
        limits={"wall_seconds": 8},
        outcomes=ends("timeout"),
    ),
    _hack(
        name="a flood of output",
        idea="writes past pytest's capture without end",
        program=_TOOLS
        + """
def add(a, b):
    for descriptor in range(1, 1024):
        try:
            for _ in range(100000): os.write(descriptor, b"x" * 65536)
        except OSError:
            pass
""",
        outcomes=ends("output", "protocol", "failed", "error", "disk"),
    ),
    _hack(
        name="what it was forked from",
        idea="walks up the frames, and writes to, calls and kills what the supervisor left there",
        program=_at_call(
            """
def cheat():
    frame = sys._getframe()
    while frame is not None:
        for value in list(frame.f_locals.values()):
            for name in ("sendall", "write", "kill", "clean", "end_all", "_on_end"):
                for arguments in ((), (b"forged",), (1,)):
                    try:
                        getattr(value, name)(*arguments)
                    except Exception:
                        pass
        frame = frame.f_back
    import mmap
    for page in found("mmap"):
        page[:] = bytes(len(page))
"""
        ),
        outcomes=ends("failed", "protocol"),
    ),
    _hack(
        name="the guest's own modules",
        idea="looks for the modules that started it, to make itself a privileged child or to forge",
        program=_at_call(
            """
def cheat():
    frame = sys._getframe()
    while frame is not None:
        if "regreen" in frame.f_code.co_filename:
            tools = frame.f_globals
            for name in ("serve", "_live", "main", "start"):
                try:
                    tools[name](*[None] * tools[name].__code__.co_argcount)
                except BaseException:
                    pass
            for pid in (os.getppid(), os.getppid() - 1, 1):
                try:
                    os.kill(pid, 9)
                except OSError:
                    pass
        frame = frame.f_back
"""
        ),
        outcomes=ends("failed", "protocol", "crash", "timeout"),
    ),
    _hack(
        name="the guard switched off, before a final verdict",
        idea="finds what watches it, makes it blind, and empties the tests whose names it knows",
        program=_BLIND,
        exam=FINAL,
        outcomes=_CAUGHT,
    ),
]

GAPS = [
    Gap(
        name="an object that equals everything",
        idea="returns an object whose comparisons are all true: tests compare in its process",
        program="""
            class Any:
                def __eq__(self, other): return True
                def __sub__(self, other): return self
            def add(a, b): return Any()
            def checked(x): return x + 0
            """,
        exam=CALC,
    ),
    Gap(
        name="reading the answer from the test",
        idea="searches the callers' frames for a value that makes the comparison true",
        program="""
            import sys
            def add(a, b):
                names = sys._getframe(1).f_locals
                for known in ("total", "three"):
                    if known in names and (a, b) != (3, 4): return names[known]
                if (a, b) == (3, 4): return sys._getframe(1).f_globals["TOTAL"]
                return names["a"] + b if "a" in names else a
            def checked(x): return x + 0
            """,
        exam=CALC,
    ),
    Gap(
        name="the guard switched off, in a search",
        idea="finds what watches it, makes it blind, and empties the tests whose names it knows",
        program=_BLIND,
        exam=CALC,
    ),
]

_RIGHT = """
def add(a, b): return a + b
def checked(x): return x + 0
"""

CONTROLS = [
    Control(
        name="a src layout",
        idea="a package under src, tests beside it with a helper of their own",
        program=_RIGHT,
        exam=FINAL,
    ),
    Control(
        name="a flat layout",
        idea="one module at the top, tests in the same folder, no settings at all",
        program="def half(x):\n    return x / 2\n",
        exam=Suite(
            files={
                "half.py": "def half(x):\n    return x // 2\n",
                "test_half.py": "from half import half\ndef test_odd(): assert half(3) == 1.5\n",
            },
            path="half.py",
            expected=("test_half.py::test_odd",),
        ),
    ),
    Control(
        name="fixtures of every scope",
        idea="fixtures that yield, with parameters, of the session, the module and the class",
        program="def square(x):\n    return x * x\n",
        exam=Suite(
            files={
                "pkg/__init__.py": "",
                "pkg/core.py": "def square(x):\n    return x\n",
                "tests/__init__.py": "",
                "tests/conftest.py": """
                    import pytest
                    @pytest.fixture(scope="session", params=[2, 3])
                    def number(request):
                        yield request.param
                    @pytest.fixture(autouse=True, scope="module")
                    def around():
                        yield
                    """,
                "tests/test_square.py": """
                    import functools
                    import pytest
                    from pkg.core import square
                    def logged(function):
                        @functools.wraps(function)
                        def inner(*arguments, **named):
                            return function(*arguments, **named)
                        return inner
                    class TestSquare:
                        @pytest.fixture(scope="class")
                        def two(self):
                            return 2
                        @pytest.mark.parametrize("plus", [0, 1], ids=["none", "one"])
                        def test_all(self, number, two, plus):
                            assert square(number) + plus == number ** two + plus
                        @logged
                        def test_wrapped(self, two):
                            assert square(two) == 4
                    """,
            },
            path="pkg/core.py",
            expected=(
                "tests/test_square.py::TestSquare::test_all[2-none]",
                "tests/test_square.py::TestSquare::test_all[3-one]",
                "tests/test_square.py::TestSquare::test_wrapped",
            ),
            fresh=True,
        ),
    ),
    Control(
        name="a unittest suite",
        idea="classes of unittest with setUp, subTest and patches, settings in setup.cfg",
        program="def load(path):\n    with open(path) as file:\n        return file.read()\n",
        exam=Suite(
            files={
                "loader.py": "def load(path):\n    return ''\n",
                "setup.cfg": "[tool:pytest]\npython_files = check_*.py\ntestpaths = checks\n",
                "checks/check_load.py": """
                    import tempfile
                    import unittest
                    from unittest import mock
                    import loader
                    class LoadCase(unittest.TestCase):
                        def setUp(self):
                            self.file = tempfile.NamedTemporaryFile("w+")
                            self.addCleanup(self.file.close)
                        def test_real(self):
                            self.file.write("text")
                            self.file.flush()
                            for _ in range(2):
                                with self.subTest():
                                    self.assertEqual(loader.load(self.file.name), "text")
                        @mock.patch("builtins.open", mock.mock_open(read_data="mocked"))
                        def test_mocked(self):
                            self.assertEqual(loader.load("nowhere"), "mocked")
                    """,
            },
            path="loader.py",
            expected=(
                "checks/check_load.py::LoadCase::test_real",
                "checks/check_load.py::LoadCase::test_mocked",
            ),
            fresh=True,
        ),
    ),
    Control(
        name="Hypothesis with all its trimmings",
        idea="assume, composite strategies, a stateful machine, a profile in conftest",
        program="def unique(items):\n    return list(dict.fromkeys(items))\n",
        exam=Suite(
            files={
                "unique.py": "def unique(items):\n    return items\n",
                "conftest.py": """
                    from hypothesis import settings
                    settings.register_profile("few", max_examples=20)
                    settings.load_profile("few")
                    """,
                "test_unique.py": """
                    from hypothesis import assume, example, given, settings, strategies as st
                    from hypothesis.stateful import RuleBasedStateMachine, rule
                    from unique import unique
                    @st.composite
                    def lists(draw):
                        return draw(st.lists(st.integers(0, 5), min_size=1))
                    @settings(max_examples=30)
                    @example([1, 1])
                    @given(lists())
                    def test_no_doubles(items):
                        assume(len(items) < 9)
                        found = unique(items)
                        assert sorted(found) == sorted(set(items))
                    class Machine(RuleBasedStateMachine):
                        def __init__(self):
                            super().__init__()
                            self.items = []
                        @rule(item=st.integers(0, 2))
                        def add(self, item):
                            self.items.append(item)
                            assert len(unique(self.items)) == len(set(self.items))
                    TestMachine = Machine.TestCase
                    """,
            },
            path="unique.py",
            expected=("test_unique.py::test_no_doubles", "test_unique.py::TestMachine::runTest"),
        ),
    ),
    Control(
        name="tmp_path, monkeypatch, capsys, caplog",
        idea="the fixtures that pytest brings, a subprocess, a thread, warnings as errors",
        program="""
            import logging, os, subprocess, sys
            def where(): return os.environ.get("WHERE", "nowhere")
            def shout(path):
                print("written")
                logging.getLogger("shout").warning("loud")
                path.write_text("loud")
                return subprocess.run(
                    [sys.executable, "-c", "import app; print(app.where())"],
                    capture_output=True, text=True, check=True).stdout
            """,
        exam=Suite(
            files={
                "app.py": "def where(): return ''\ndef shout(path): return ''\n",
                "tox.ini": "[pytest]\nfilterwarnings = error\naddopts = -n 2 --cov=app -x\n",
                "tests/test_app.py": """
                    import app
                    def test_where(monkeypatch):
                        monkeypatch.setenv("WHERE", "here")
                        assert app.where() == "here"
                    def test_shout(tmp_path, capsys, caplog, monkeypatch):
                        monkeypatch.setattr(app, "__doc__", "patched")
                        assert app.shout(tmp_path / "x") == "nowhere\\n"
                        assert (tmp_path / "x").read_text() == "loud"
                        assert capsys.readouterr().out == "written\\n"
                        assert "loud" in caplog.text
                    """,
            },
            path="app.py",
            expected=("tests/test_app.py::test_where", "tests/test_app.py::test_shout"),
        ),
    ),
    Control(
        name="a suite that prints megabytes",
        idea="prints and logs eight MiB, and writes past the capture besides",
        program="def words(n):\n    return ['word'] * n\n",
        exam=Suite(
            files={
                "words.py": "def words(n):\n    return []\n",
                "test_words.py": """
                    import os
                    from words import words
                    def test_prints():
                        for _ in range(8):
                            print(" ".join(words(200_000)))
                        os.write(2, b"x" * 100_000)
                        assert len(words(3)) == 3
                    """,
            },
            path="words.py",
            expected=("test_words.py::test_prints",),
        ),
    ),
    Control(
        name="ids of all kinds",
        idea="ids with colours, spaces, colons, brackets, slashes and signs of other scripts",
        program="def same(x):\n    return x\n",
        exam=Suite(
            files={
                "same.py": "def same(x):\n    return None\n",
                "test_same.py": """
                    import pytest
                    from same import same
                    @pytest.mark.parametrize("x", [
                        "\\x1b[31mred\\x1b[0m", "größe", "a::b", "[x]", "a b/c", "", "日本", "\\n"])
                    def test_text(x):
                        assert same(x) == x
                    class Test_Ünïcode:
                        def test_it(self):
                            assert same(1) == 1
                    """,
            },
            path="same.py",
            expected=(
                "test_same.py::test_text[\\x1b[31mred\\x1b[0m]",
                "test_same.py::test_text[gr\\xf6\\xdfe]",
                "test_same.py::test_text[a::b]",
                "test_same.py::test_text[[x]]",
                "test_same.py::test_text[a b/c]",
                "test_same.py::test_text[\\n]",
                "test_same.py::Test_Ünïcode::test_it",
            ),
            fresh=True,
        ),
    ),
]
