"""`regreen fix` where tests need something: a build, a version, another runner, a selection."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest

from agent.fix.environment.setup import SetupError, set_up
from sandbox.docker import connect
from sandbox.errors import SandboxUnavailableError
from sandbox.registry import SandboxOptions, choose_sandbox
from tests.agent.fix.conftest import Fix, Write
from tests.sandbox.conftest import unavailable
from tests.sandbox.private_index import PASSWORD, USER, private_index, wheel
from verifiers.repository import SUITE_LIMITS, File, Snapshot

CART = (
    "def total(prices):\n    result = 0\n    for place in range(1, len(prices)):\n"
    "        result += prices[place]\n    return result\n"
)
UNITTEST = """
import unittest
from cart import total

class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.prices = [2, 3]

    def setUp(self):
        self.none = []

class TotalCase(Base):
    def test_none(self):
        self.assertEqual(total(self.none), 0)

    def test_some(self):
        self.assertEqual(total(self.prices), 5)

    def test_each(self):
        for price in (1, 2):
            with self.subTest(price=price):
                self.assertEqual(total([price]), price)

    @unittest.skip("not now")
    def test_skipped(self):
        self.fail()

    @unittest.expectedFailure
    def test_expected(self):
        self.assertEqual(1, 2)

def load_tests(loader, tests, pattern):
    return loader.loadTestsFromTestCase(TotalCase)

if __name__ == "__main__":
    unittest.main()
"""


def test_a_suite_of_unittest_by_its_own_command(fix: Fix, write: Write) -> None:
    folder = write({"cart.py": CART, "checks/__init__.py": "", "checks/cart_check.py": UNITTEST})
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    nothing = fix(folder)
    assert (nothing.code, nothing.found["reason"]) == (3, "no test was found")
    command = "python -m unittest discover -s checks -p '*_check.py'"
    ended = fix(folder, "--test-cmd", command, "--apply", "--allow-dirty")
    assert (ended.code, ended.found.get("status")) == (0, "fixed"), ended
    assert ended.found["fixed"] == [
        f"checks/cart_check.py::TotalCase::{name}" for name in ("test_each", "test_some")
    ]
    assert (folder / "cart.py").read_text() != CART


BUILT: dict[str, str | bytes] = {
    "pyproject.toml": '[project]\nname = "the-shop"\ndynamic = ["version"]\n[tool.setuptools_scm]\n'
    'write_to = "src/shop/_version.py"\n[build-system]\nrequires = []\n'
    '[project.scripts]\nshop = "shop.cart:main"\n',
    "src/shop/__init__.py": "from ._version import version as __version__\n",
    "src/shop/cart.py": CART,
    "make.py": "import os, sys\n"
    "assert not [name for name in os.environ if 'KEY' in name], 'keys are about'\n"
    "with open('src/shop/table.py', 'w') as file:\n"
    "    file.write('PRICES = [2, 3]\\n')\n"
    "os.remove('unwanted.py')\n"
    "print(sys.argv[1])\n",
    "unwanted.py": "",
    "tests/test_cart.py": "import importlib.metadata, os\n"
    "import shop\nfrom shop.cart import total\nfrom shop.table import PRICES\n\n"
    "def test_some():\n    assert total(PRICES) == 5\n\n"
    "def test_version():\n"
    "    assert shop.__version__ == importlib.metadata.version('the-shop') == '1.4'\n\n"
    "def test_tree():\n    assert not os.path.exists('unwanted.py')\n",
}


def test_a_tree_that_is_made_by_a_command_once(
    fix: Fix,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A src layout, a version of a git tag, a generated module, and no key in reach."""
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(cache := tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    folder = write(BUILT)
    settings = ["-c", "user.name=a", "-c", "user.email=a@b.test"]
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(
        ["git", *settings, "commit", "--allow-empty", "-qm", "x"], cwd=folder, check=True
    )
    subprocess.run(["git", "tag", "v1.4"], cwd=folder, check=True)
    ended = fix(folder, "--setup-cmd", "python make.py said")
    assert (ended.code, ended.found.get("status")) == (0, "fixed"), ended
    assert ended.found["fixed"] == ["tests/test_cart.py::test_some"]
    assert ended.found["files"] == ["src/shop/cart.py"]  # nothing of what was made
    assert not (folder / "src/shop/table.py").exists()
    assert len(list(Path(cache, "trees").iterdir())) == 1
    broken = fix(folder, "--setup-cmd", "python make.py said; exit 7")
    assert broken.code == 3
    assert "ended with status 7: said" in broken.found["reason"]
    assert "| said\n" in broken.said


FAILING = {
    "python -c 'raise SystemExit(\"no luck\")'": "ended with status 1: no luck",
    "no-such-program": "not found",
    "python -c 'import socket; socket.create_connection((\"127.0.0.1\", 9))'": "PermissionError",
    "ln -s /etc/passwd leak": "leads out of the tree",
    "kill -9 $$": "status -9",
    "cat /etc/shadow": "status 1",
    "sleep 60": "more than 2 s of wall time",
    "yes": "bytes of output",
    "echo v$PDM_BUILD_SCM_VERSION; exit 3": "status 3: v1.2",
    "python -c 'raise ValueError(5)'; echo 'note: see above'; exit 1": "status 1: ValueError: 5",
}


@pytest.mark.anyio
async def test_a_setup_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(tmp_path))
    limits = SUITE_LIMITS.model_copy(update={"wall_seconds": 20.0, "output_bytes": 1 << 20})
    options = SandboxOptions(limits=limits, slots=1, allow_reduced=True)
    sandbox, _ = await choose_sandbox("local", options)
    snapshot = Snapshot(
        files={"a.py": File(content=b"x = 1\n"), "PKG-INFO": File(content=b"Version: 1.2\n")}
    )
    async with sandbox:
        for command, said in FAILING.items():
            seconds = 2.0 if command.startswith("sleep") else 20.0
            own = limits.model_copy(update={"wall_seconds": seconds})
            with pytest.raises(SetupError) as failed:
                await set_up(sandbox, snapshot, command, own)
            assert said in str(failed.value), command
            assert "\n" not in str(failed.value)
        assert (await set_up(sandbox, snapshot, "rm *", limits)).tree.files == {}
        made = await set_up(sandbox, snapshot, "echo 'x = 2' > a.py; mkdir b; date > b/c", limits)
        again = await set_up(sandbox, snapshot, "echo 'x = 2' > a.py; mkdir b; date > b/c", limits)
    assert made.tree.files["a.py"].content == b"x = 2\n"
    assert again == made  # not run again: the date would tell


PRIVATE: dict[str, str | bytes] = {
    "cart.py": CART,
    "tools/made/setup.py": "import made_by, setuptools\nsetuptools.setup(name='made',"
    " version='3', py_modules=['made'])\n",
    "tools/made/made.py": "STEPS = 2\n",
    "test_cart.py": "import os, socket\nimport alpha_private, beta_private, made\n"
    "from cart import total\n\n"
    "def test_total():\n"
    "    assert (alpha_private.VERSION, beta_private.VERSION, made.STEPS) == ('1.0', '2.0', 2)\n"
    "    assert total([2, 3]) == 5\n\n"
    "def test_nothing_is_in_reach():\n"
    "    assert not [name for name in os.environ if 'INDEX' in name]\n"
    "    try:\n        socket.socket()\n    except PermissionError:\n        return\n"
    "    raise AssertionError('a socket')\n",
}


@pytest.mark.parametrize("sandbox", ["local", pytest.param("docker", marks=pytest.mark.docker)])
def test_a_setup_installs_from_a_private_index(
    fix: Fix,
    write: Write,
    sandbox: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What it had as a wheel is a requirement afterwards, and what it built lies in the tree."""
    if sandbox == "docker":
        try:
            connect().close()
        except SandboxUnavailableError as error:
            unavailable(str(error))
    folder = write({**PRIVATE, "new.txt": secrets.token_hex()})  # a tree that no cache has
    links = tmp_path_factory.mktemp("links")
    (links / "made_by-1.0-py3-none-any.whl").write_bytes(wheel("made_by"))
    with private_index() as host:
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"http://{USER}:{PASSWORD}@{host}/simple")
        monkeypatch.setenv("PIP_FIND_LINKS", str(links))
        monkeypatch.setenv("REGREEN_SANDBOX", sandbox)
        command = "pip install setuptools made-by alpha-private"
        ended = fix(
            folder,
            "--setup-cmd",
            f"{command} && pip install --no-build-isolation ./tools/made",
        )
    assert (ended.code, ended.found.get("status")) == (0, "fixed"), ended
    assert ended.found["fixed"] == ["test_cart.py::test_total"]
    assert ended.found["files"] == ["cart.py"]
    assert "alpha_private-1.0-py3-none-any.whl" in ended.said
    assert PASSWORD not in ended.said + str(ended.found)


def test_only_what_is_selected_is_run(fix: Fix, write: Write) -> None:
    tests = (
        "import pytest\nfrom cart import total\n\n"
        "@pytest.mark.slow\ndef test_slow():\n    while True:\n        pass\n\n"
        "def test_other():\n    assert False\n\n"
        "@pytest.mark.fast\ndef test_total():\n    assert total([2, 3]) == 5\n"
    )
    markers = "[pytest]\naddopts = --strict-markers\nmarkers =\n    slow\n    fast\n"
    folder = write({"cart.py": CART, "test_cart.py": tests, "pytest.ini": markers})
    ended = fix(folder, "--test-cmd", "pytest -m 'fast and not slow' -k total --maxfail 1")
    assert (ended.code, ended.found.get("status")) == (0, "fixed"), ended
    assert ended.found["fixed"] == ["test_cart.py::test_total"]
