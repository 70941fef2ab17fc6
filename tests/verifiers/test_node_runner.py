"""What the runner for JavaScript makes of a repository without running it."""

from __future__ import annotations

import random

import pytest

from verifiers.javascript import first_error, is_module
from verifiers.repository import File, RepositoryError, Snapshot, SuiteOptions, runner_of
from verifiers.repository.runners.node import NodeRunner
from verifiers.repository.runners.node_canaries import canary_text, set_traps


def tree(**files: str) -> Snapshot:
    """A snapshot; `__` in a name stands for `/`, `_` before the ending for a dot."""
    found = {}
    for name, text in files.items():
        path = name.replace("__", "/").replace("_", ".")
        found[path] = File(content=text.encode())
    return Snapshot(files=found)


def runner(snapshot: Snapshot, **options: object) -> NodeRunner:
    return NodeRunner(snapshot, SuiteOptions.model_validate(options))


def test_a_repository_gets_the_runner_that_it_is_for() -> None:
    assert runner_of(tree(a_js="", a_test_js="")) == "node"
    assert runner_of(tree(src__a_js="", test__a_mjs="", setup_py="")) == "node"
    python = Snapshot(files={"test_a.py": File(), "web/test/a.js": File()})
    assert runner_of(python) == "pytest"
    assert runner_of(tree(a_py="")) == "pytest"
    assert runner_of(python, "node") == "node"
    with pytest.raises(RepositoryError, match="unknown runner 'jest': known are pytest, node"):
        runner_of(python, "jest")


FILES = tree(
    src__a_js="", src__a_test_js="", test__b_mjs="", test__help_cjs="", lib__c_cjs="",
    spec__d_js="", e_js="", node_test_js="", package_json="{}", scripts__run_js="",
    vite_config_js="", x_spec_js="", doc_md="",
)  # fmt: skip


def test_tests_and_sources() -> None:
    found = runner(FILES)
    assert found.test_files() == ["node.test.js", "src/a.test.js", "test/b.mjs", "test/help.cjs"]
    assert found.sources() == ("e.js", "lib/c.cjs", "src/a.js")


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("node --test spec/", ["spec/d.js"]),
        ("node --test --import ./e.js 'src/**/*.test.js'", ["src/a.test.js"]),
        ("node --test **/*.{mjs,cjs}", ["lib/c.cjs", "test/b.mjs", "test/help.cjs"]),
        ("jest", ["node.test.js", "src/a.test.js", "test/b.mjs", "test/help.cjs"]),
        ("node --test spec && echo", ["node.test.js", "src/a.test.js", "test/b.mjs",
                                      "test/help.cjs"]),
    ],
)  # fmt: skip
def test_the_project_s_own_command_says_where_tests_are(command: str, files: list[str]) -> None:
    package = f'{{"scripts": {{"test": "{command}"}}}}'
    snapshot = FILES.changed({"package.json": package})
    found = runner(snapshot)
    assert found.test_files() == files
    assert not set(found.sources()) & set(files)
    assert ("e.js" in found.sources()) == ("--import" not in command)


def test_a_torn_package_is_one_line() -> None:
    with pytest.raises(RepositoryError, match=r"package\.json can't be read .*: mend it"):
        runner(tree(package_json="{"))


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("src/a.test.js", "", "belongs to the tests"),
        ("test/new.js", "", "belongs to the tests"),
        ("a/__tests__/x.js", "", "belongs to the tests"),
        ("package.json", "{}", "no JavaScript source"),
        ("vite.config.js", "", "setting of a tool"),
        ("scripts/run.js", "", "project's tools"),
        ("node_modules/a/index.js", "", "to others"),
        (".hidden/a.js", "", "is hidden"),
        ("../a.js", "", "no plain path"),
        ("src/a.mjs", "", "would hide src/a.js"),
        ("src.js", "", "would hide src/"),
        ("e.js/x.js", "", "e.js is no folder"),
        ("gone.js", None, "is not there"),
        ("e.js", "x" * 2000, "more than 1000 bytes"),
        ("e.js", "import test from 'node:test';", "which only tests should"),
        ("e.js", 'require("inspector")', "which only tests should"),
        ("lib/c.cjs", "", "is forbidden"),
    ],
)
def test_what_a_patch_may_not_do(path: str, text: str | None, reason: str) -> None:
    found = runner(FILES, rules={"forbid": ["lib/*"], "file_bytes": 1000})
    assert reason in found.check({path: text})


def test_what_a_patch_may_do() -> None:
    found = runner(FILES)
    assert (
        found.check({"e.js": "import fs from 'node:fs';", "src/new.js": "1", "src/a.js": None})
        == ""
    )
    assert found.check({}) == "the patch is empty"
    assert found.syntax({"e.js": "let x = 1;", "src/a.js": None}) == ""
    assert found.syntax({"e.js": "let x = 1;\nlet = (;\n"}) == "e.js: line 2: this is no JavaScript"


def test_a_canary_is_the_last_test_of_its_file_and_another_each_time() -> None:
    files = {"a.test.js": "const x = 1", "b.test.mjs": "export {}", "c.test.js": "import 'x'"}
    snapshot = Snapshot(files={path: File(content=text.encode()) for path, text in files.items()})
    found = [runner(snapshot).canaries(snapshot, files, str(seed)) for seed in range(30)]
    assert len({one.ids for one in found}) == 30
    for one in found:
        assert not one.alone
        for path, text in one.texts.items():
            assert text.startswith(files[path])
            assert not first_error(text)
            assert is_module(text) == (path != "a.test.js")
    assert len({canary_text("a", True, random.Random(seed))[1] for seed in range(30)}) == 30


TESTED = """import { it, describe } from 'node:test';
describe('all', () => {
  it('one', () => { check(1); });
  it('two', async () => {
    check(2);
  });
  it('short', () => check(3));
  for (const name of ['made']) it(name, () => { check(4); });
});
describe('other', () => { it('one', function () { check(5); }); });
"""


def test_traps_are_set_in_half_of_the_tests_under_their_names() -> None:
    snapshot = Snapshot(files={"a.test.js": File(content=TESTED.encode())})
    names = ("all > one", "all > two", "all > short", "all > made", "other > one", "gone")
    ids = [f"a.test.js::{name}" for name in names]
    seen: set[str] = set()
    for seed in range(30):
        texts, trapped = set_traps(snapshot, ids, lambda *_: True, random.Random(seed))
        assert 0 < len(trapped) <= 3
        seen |= set(trapped)
        (text,) = texts.values()
        assert not first_error(text)
        assert len(text.splitlines()) == len(TESTED.splitlines()) + 2  # the import
        assert text.count("from 'node:assert'") == 1
    assert seen == {ids[0], ids[1], ids[4]}
    assert set_traps(snapshot, [ids[2]], lambda *_: True, random.Random(0)) == ({}, ())
