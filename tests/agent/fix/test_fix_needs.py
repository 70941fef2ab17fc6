"""What a repository needs, as each builder writes it down; and versions made of git's tags."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.fix.environment.constraints import specifier
from agent.fix.environment.layout import import_roots
from agent.fix.environment.needs import read_needs
from agent.fix.environment.versions import with_versions
from verifiers.repository import File, Snapshot


def tree(files: dict[str, str]) -> Snapshot:
    return Snapshot(files={path: File(content=text.encode()) for path, text in files.items()})


POETRY = """
[tool.poetry]
name = "shop"
[tool.poetry.dependencies]
python = "^3.8"
requests = "^2.28.1"
attrs = {version = ">=20", extras = ["a"], markers = "sys_platform == 'linux'"}
local = {path = "../local"}
redis = {version = "*", optional = true}
[tool.poetry.extras]
cache = ["redis"]
[tool.poetry.group.test.dependencies]
freezegun = "~1.2"
pytest = "*"
[tool.poetry.group.docs.dependencies]
furo = "*"
"""
PDM = """
[project]
name = "shop"
dependencies = ["attrs"]
[tool.pdm.dev-dependencies]
test = ["responses"]
lint = ["bandit"]
[tool.hatch.envs.default]
dependencies = ["vcrpy", "pytest-cov"]
[tool.uv]
dev-dependencies = ["trustme"]
"""
SETUP_PY = """
import os
from setuptools import setup, find_packages
NEEDS = ["attrs>=19", "idna"]
extras = {"yaml": ["PyYAML>=5"], "docs": ["furo"]}
extras["test"] = ["responses", "pytest>=7"] + open("more.txt").read().split()
extras["all"] = extras["yaml"] + extras["docs"]
raise SystemExit("a setup script is never run")
setup(
    name="shop",
    install_requires=NEEDS + ["chardet"],
    extras_require=extras,
    tests_require='''
        mock
        # a note
        freezegun; python_version < "3.12"
    ''',
    package_dir={"": "lib"},
)
"""
TOX = """
[testenv]
deps =
    -r requirements/ci.txt
    -e .[yaml]
    py27: mock
    trustme==1.1
    {env:EXTRA:}
extras = test
"""
CASES: dict[str, tuple[dict[str, str], set[str]]] = {
    "poetry": (
        {"pyproject.toml": POETRY},
        {"requests<3,>=2.28.1", 'attrs[a]>=20; sys_platform == "linux"', "freezegun<1.3,>=1.2"},
    ),
    "an extra that tests import": (
        {"pyproject.toml": POETRY, "tests/test_a.py": "import redis\n"},
        {
            "requests<3,>=2.28.1", 'attrs[a]>=20; sys_platform == "linux"', "freezegun<1.3,>=1.2",
            "redis",
        },
    ),
    "pdm, hatch and uv": ({"pyproject.toml": PDM}, {"attrs", "responses", "vcrpy", "trustme"}),
    "setup.py": (
        {"setup.py": SETUP_PY},
        {
            "attrs>=19", "idna", "chardet", "responses", "mock",
            'freezegun; python_version < "3.12"',
        },
    ),
    "tox": (
        {
            "setup.py": SETUP_PY.replace("tests_require", "ignored"),
            "tox.ini": TOX,
            "requirements/ci.txt": "-r more.in\nvcrpy==4 \\\n  --hash=sha256:00 # why\n",
            "requirements/more.in": "-r ci.txt\npytz\n",
        },
        {
            "attrs>=19", "idna", "chardet", "responses", "PyYAML>=5", "trustme==1.1", "vcrpy==4",
            "pytz",
        },
    ),
    "Pipfile": (
        {"Pipfile": '[packages]\nattrs = "*"\nx = {git = "y"}\n[dev-packages]\nmock = "==4.0"\n'},
        {"attrs", "mock==4.0"},
    ),
    "setup.cfg": (
        {
            "setup.cfg": "[options]\ninstall_requires =\n    attrs\ntests_require = mock\n"
            "[options.extras_require]\ntesting =\n    vcrpy\ndocs = furo\n"
        },
        {"attrs", "mock", "vcrpy"},
    ),
    "a broken setup.py": ({"setup.py": "setup(install_requires=['a'\n"}, set()),
}  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), CASES.values(), ids=CASES)
def test_requirements_in_every_form(files: dict[str, str], expected: set[str]) -> None:
    assert set(read_needs(tree(files)).requirements) == expected


def test_what_only_tests_need_is_optional_and_what_is_left_out_is_said() -> None:
    found = read_needs(
        tree({"pyproject.toml": POETRY, "requirements-dev.txt": "mock\na @ https://x.test/a.whl\n"})
    )
    optional = {need.name for need in found.needs if need.optional}
    assert optional == {"freezegun", "mock"}
    assert [note for note in found.notes if "local" in note]
    assert [note for note in found.notes if "address" in note]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("^1.2.3", ">=1.2.3,<2"), ("^0.2.3", ">=0.2.3,<0.3"), ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0", ">=0,<1"), ("~1.2.3", ">=1.2.3,<1.3"), ("~1", ">=1,<2"), ("1.*", "==1.*"),
        (">=1 <2", ">=1,<2"), ("*", ""), ("1.0", "==1.0"), ("^1 || ^2", None),
    ],
)  # fmt: skip
def test_constraints_in_the_words_of_pip(written: str, expected: str | None) -> None:
    assert specifier(written) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"src/a.py": ""}, ()),
        ({"a.py": ""}, ()),
        ({"setup.py": SETUP_PY, "lib/shop/__init__.py": ""}, ("lib", "")),
        ({"setup.cfg": "[options]\npackage_dir =\n    =py\n", "py/a.py": ""}, ("py", "")),
        (
            {"pyproject.toml": '[tool.poetry]\npackages=[{include="a", from="l"}]', "l/a.py": ""},
            ("l", ""),
        ),
        ({"pyproject.toml": '[tool.setuptools.packages.find]\nwhere=["gone"]'}, ()),
    ],
)
def test_folders_to_import_from(files: dict[str, str], expected: tuple[str, ...]) -> None:
    assert import_roots(tree(files)) == expected


SCM = '[project]\nname = "shop"\ndynamic = ["version"]\n[tool.setuptools_scm]\n'


def test_a_version_of_git_is_there_without_history(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    git("-c", "user.name=a", "-c", "user.email=a@b.test", "commit", "--allow-empty", "-qm", "x")
    git("tag", "v2.5.1")
    snapshot = tree(
        {
            "pyproject.toml": SCM + 'version_file = "src/shop/_version.py"\n',
            "src/shop/__init__.py": "from ._version import __version__, commit_id\n",
            "other/__init__.py": "from other.version import version\n",
            "kept/__init__.py": "from ._version import version\n",
            "kept/_version.py": "version = 'mine'\n",
        }
    )
    found = with_versions(snapshot, tmp_path)
    assert set(found) == {"src/shop/_version.py", "other/version.py", "PKG-INFO"}
    names: dict[str, object] = {}
    exec(found["src/shop/_version.py"], names)
    assert (names["__version__"], names["version_tuple"]) == ("2.5.1", (2, 5, 1))
    assert "commit_id" in names
    assert "Version: 2.5.1" in found["PKG-INFO"]


def test_a_version_that_is_written_down_wins_and_nothing_needless_is_added(tmp_path: Path) -> None:
    plain = tree({"pyproject.toml": '[project]\nname = "shop"\nversion = "3.1"\n', "shop.py": ""})
    assert with_versions(plain, tmp_path) == {
        "PKG-INFO": "Metadata-Version: 2.1\nName: shop\nVersion: 3.1\n"
    }
    dynamic = '[project]\nname = "shop"\ndynamic = ["version"]\n'
    attribute = dynamic + '[tool.setuptools.dynamic]\nversion = {attr = "shop.VERSION"}\n'
    for files in (
        {"pyproject.toml": attribute, "src/shop/__init__.py": "x = 1\nVERSION: str = '5.2'\n"},
        {
            "pyproject.toml": dynamic + '[tool.hatch.version]\npath = "a.py"',
            "a.py": "version='5.2'",
        },
    ):
        assert "Version: 5.2" in with_versions(tree(files), tmp_path)["PKG-INFO"]
    archive = tree({"pyproject.toml": SCM, "PKG-INFO": "Name: shop\nVersion: 4.0\n"})
    assert with_versions(archive, tmp_path) == {}
    assert with_versions(tree({"a.py": "x = 1\n"}), tmp_path) == {}
