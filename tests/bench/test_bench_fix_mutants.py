"""The benchmark of repairs on real projects: its faults, its over-fits, and what comes of both."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench import fix_mutants
from bench.mutants.faults import FILES, FOLDER, Fault, make_fault, read_faults, write_faults
from bench.mutants.overfits import special_case
from bench.mutants.projects import Project, ProjectError, fetch, read_projects, unpack
from bench.mutants.results import Plant, Row, Worth, summary
from bench.mutants.twin import Call, beside
from verifiers.repository import File, Snapshot

SHOP = '''"""Prices."""


def grade(points, bonus=0):
    """A grade."""
    total = points + bonus
    if total < 10:
        return "none"
    if total >= 20:
        return "high"
    return "low"


def greet(name):
    return "hello " + name
'''
TESTS = """from shop import grade, greet


def test_grades():
    assert grade(3) == "none"
    assert grade(10) == "low"


def test_bonus():
    assert grade(15, 5) == "high"
    assert grade(15, 4) == "low"
    assert grade(9, 0) == "none"


def test_greeting():
    assert greet("you") == "hello you"
"""
FILES_OF_SHOP = {
    "shop.py": SHOP,
    "test_shop.py": TESTS,
    "test_other.py": "def test_broken():\n    assert False\n",
    "setup.cfg": "[tool:pytest]\naddopts = --no-such-option\n",
}
NEARLY = SHOP.replace("total < 10", "total <= 10")
FAR = SHOP.replace('"hello "', '"hola "')


def fault(name: str, new: str, **fields: str) -> Fault:
    given = {"project": "shop", "origin": "hand", "kind": "other", "operator": "", **fields}
    return make_fault(name=name, path="shop.py", old=SHOP, new=new, **given)


def project(folder: Path) -> Path:
    """A folder with a table of one project, its archive, and two faults of it."""
    archive = folder / "archives" / "shop-1.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as packed:
        for name, text in FILES_OF_SHOP.items():
            entry = tarfile.TarInfo(f"shop-1/{name}")
            entry.size = len(text.encode())
            packed.addfile(entry, io.BytesIO(text.encode()))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (folder / "projects.toml").write_text(
        f'[shop]\nversion = "1"\nsha256 = "{digest}"\nsources = ["shop.py"]\n'
        'tests = ["test_sh*.py"]\n'
    )
    write_faults(folder / FILES[0], [fault("shop-1", NEARLY, origin="mutmut", kind="comparison")])
    write_faults(folder / FILES[1], [fault("shop-2", FAR)])
    return folder


def run(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    words = ["--folder", str(folder), "--sources", str(folder / "archives"), "--json"]
    words += ["--runs", str(folder / "runs"), "--sandbox", "local", "--candidates", "20"]
    words += ["--seconds", "1000"]
    assert fix_mutants.main([*words, *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_two_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project(tmp_path)
    found = run(folder, capsys)
    nearly, far = found["faults"]
    assert (nearly["fixed"], nearly["worth"], nearly["rank"]) == (True, "program", 1)
    assert (nearly["failing"], nearly["kind"]) == (1, "comparison")
    assert nearly["line_rank"] >= 1
    assert nearly["edit"].startswith("comparison.boundary shop.py:7")
    # the over-fit of it knows that 10 points are low, and nothing of 9 and 1
    assert nearly["plant"]["passes"]
    assert nearly["plant"]["wrong"]
    assert nearly["plant"]["confidence"] == "plausible"
    assert (far["fixed"], far["rank"], far["plant"]) == (False, 1, None)
    assert found["summary"]["fixed"] == {
        "of": 1,
        "all": 2,
        "interval": pytest.approx([0.09, 0.91], abs=0.01),
    }
    lines = (folder / "runs" / "fix-mutants.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["shop-1", "shop-2"]
    # what is done is not done again; a line that was broken off is
    (folder / "runs" / "fix-mutants.jsonl").write_text(f"{lines[0]}\n{lines[1][:40]}")
    again = run(folder, capsys, "--only", "shop-1")
    assert again["faults"] == [nearly]
    assert len((folder / "runs" / "fix-mutants.jsonl").read_text().splitlines()) == 2


def test_recorded_faults() -> None:
    faults = read_faults(*(FOLDER / name for name in FILES))
    projects = read_projects(FOLDER / "projects.toml")
    origins = Counter(one.origin for one in faults)
    assert origins["hand"] >= 20
    assert len({one.project for one in faults}) >= 6
    assert {one.project for one in faults} <= projects.keys()
    assert {one.origin for one in faults} <= {"hand", "mutmut", "cosmic-ray"}
    assert all(projects[one.project].is_source(one.path) for one in faults)


def test_a_fault_is_recorded_and_put_in() -> None:
    snapshot = Snapshot(files={"shop.py": File(content=SHOP.encode())})
    one = fault("a", NEARLY)
    assert (one.line, one.removed, one.inserted, one.lines) == (7, "", "=", (7,))
    assert one.into(snapshot).text("shop.py") == NEARLY
    assert one.function(one.into(snapshot)) == "grade"
    missing = SHOP.replace('    if total < 10:\n        return "none"\n', "")
    other = fault("b", missing)
    assert other.into(snapshot).text("shop.py") == missing
    assert {6, 7} <= set(other.lines)
    with pytest.raises(ValueError, match="another text"):
        other.into(snapshot.changed({"shop.py": "\n" + SHOP}))
    with pytest.raises(ValueError, match="not the one that was recorded"):
        one.into(snapshot.changed({"shop.py": SHOP + "#\n"}))
    with pytest.raises(ValueError, match="the same"):
        fault("c", SHOP)


def test_special_cases() -> None:
    call = Call(arguments="((10,), {})", result="'low'")
    text = special_case(NEARLY, "grade", [call])
    assert text is not None
    names: dict[str, Any] = {}
    exec(text, names)
    assert (names["grade"](10), names["grade"](9, 1)) == ("low", "none")
    named = Call(arguments="((10,), {'bonus': 0})", result="'low'")
    text = special_case(NEARLY, "grade", [named])
    assert text is not None
    assert "if (points, bonus) == (10, 0):" in text
    assert special_case(NEARLY, "grade", [Call()]) is None
    assert special_case(NEARLY, "grade", []) is None
    assert special_case(NEARLY, "missing", [call]) is None


def test_versions_side_by_side() -> None:
    old = (
        "class A:\n    @property\n    def x(self):\n        return 1\n\n"
        "    @x.setter\n    def x(self, to):\n        pass\n"
    )
    assert beside(old, old, "A.x") is None  # which of the two is not said
    both = beside(NEARLY, SHOP, "grade")
    assert both is not None
    assert both.index("def _regreen_other(points") < both.index("def grade(points")
    compile(both, "both.py", "exec")
    inner = "def f():\n    @staticmethod\n    def g():\n        return {}\n    return g\n"
    both = beside(inner.format(1), inner.format(2), "f.g")
    assert both is not None
    compile(both, "both.py", "exec")


def test_projects_that_can_not_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    one = Project(
        name="no-such-project-anywhere", version="1", sha256="0" * 64, sources=(), tests=()
    )
    with pytest.raises(ProjectError, match="pip can't download"):
        fetch([one], tmp_path)
    folder = project(tmp_path)
    archive = folder / "archives" / "shop-1.tar.gz"
    with pytest.raises(ProjectError, match="remove it"):
        unpack(one, archive)
    shop = read_projects(folder / "projects.toml")["shop"]
    assert set(unpack(shop, archive).files) == {"shop.py", "test_shop.py"}


def test_summaries() -> None:
    def row(name: str, **fields: Any) -> Row:
        known = {"project": "p", "origin": "mutmut", "kind": "number", "failing": 1}
        return Row(id=name, **{**known, **fields})

    said = {"fixed": True, "rank": 1, "line_rank": 2}
    rows = [
        row("a", **said, worth=Worth.PROGRAM, confidence="validated"),
        row("b", **said, worth=Worth.DIFFERS, confidence="validated"),
        row("c", **said, worth=Worth.BEHAVIOUR, confidence="plausible"),
        row("d", **said, worth=Worth.UNCLEAR, confidence="plausible"),
        row("e", rank=4, plant=Plant(passes=True, wrong=True, confidence="plausible")),
        row("f", plant=Plant(passes=True, wrong=False, confidence="validated")),
        row("g", failing=0, note="no test fails"),
    ]
    found = summary(rows)
    assert found.left_out == 1
    assert (found.fixed.of, found.fixed.all, found.near.of, found.line_near.of) == (4, 6, 4, 4)
    assert (found.right.of, found.right.all) == (2, 4)
    # patches that can't be compared are in neither; over-fits that do no harm aren't, either
    assert (found.precision["validated"].of, found.precision["validated"].all) == (1, 2)
    assert (found.precision["plausible"].of, found.precision["plausible"].all) == (1, 2)
    assert (found.found_precision["plausible"].of, found.found_precision["plausible"].all) == (1, 1)
    assert (found.planted["plausible"].of, found.planted["validated"].of) == (1, 0)


@pytest.mark.parametrize("tool", ["mutmut", "cosmic-ray"])
def test_mutators(tool: str) -> None:
    pytest.importorskip({"mutmut": "mutmut", "cosmic-ray": "cosmic_ray"}[tool])
    from bench.mutants.injectors import draw_order, injectors, is_other

    found = list(injectors()[tool]("shop.py", SHOP))
    assert {"comparison", "arithmetic", "number"} <= {one.kind for one in found}
    texts = [one.make() for one in found]
    assert sum(is_other(SHOP, text) for text in texts) > len(texts) / 2
    import random

    first = [one.operator for one in draw_order(found, random.Random(1))]
    assert first == [one.operator for one in draw_order(found, random.Random(1))]
