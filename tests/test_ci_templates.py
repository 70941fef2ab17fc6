"""The Action and the templates for CI: valid by their schemas, and guarded as docs/ci.md says."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
ACTION = ROOT / "action.yml"
WORKFLOW = ROOT / "examples" / "ci" / "github" / "regreen.yml"
GITLAB = ROOT / "examples" / "ci" / "gitlab" / "regreen.gitlab-ci.yml"
SCHEMAS = {ACTION: "github-actions", WORKFLOW: "github-workflows", GITLAB: "gitlab-ci"}


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    """All steps of an action or a workflow."""
    data = load(path)
    if "runs" in data:
        return list(data["runs"]["steps"])
    return [step for job in data["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_valid_by_the_schema(path: Path) -> None:
    transform = ("--data-transform", "gitlab-ci") if path == GITLAB else ()
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{SCHEMAS[path]}",
         *transform, str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [ACTION, WORKFLOW], ids=lambda path: path.name)
def test_nothing_of_an_event_stands_in_a_script_and_actions_are_pinned(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", "")
        used = step.get("uses", "")
        if used and not used.startswith("OWNER/regreen@"):
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", used), used


def test_no_job_holds_everything() -> None:
    data = load(WORKFLOW)
    assert data["permissions"] == {}
    jobs = data["jobs"]
    assert jobs["fix"]["permissions"] == {"contents": "read"}
    assert set(jobs["check"]["permissions"].values()) == {"read"}
    text = {name: str(job) for name, job in jobs.items()}
    assert [name for name in text if "secrets." in text[name]] == ["fix"]
    assert [name for name in text if "github.token" in text[name]] == ["check", "propose"]
    checkouts = [step for step in steps(WORKFLOW) if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) == 2
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    for name in ("check", "fix"):
        assert "head.repo.full_name == github.repository" in text["check"] or name == "fix"
    assert "allowed == 'true'" in jobs["fix"]["if"]
    assert jobs["fix"]["needs"] == "check"
    for said in ("author_association", "head_repository.full_name", "regreen/", "/regreen fix"):
        assert said in jobs["check"]["if"]


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    action = load(ACTION)
    for step in steps(WORKFLOW):
        if step.get("uses", "").startswith("OWNER/regreen@"):
            assert set(step["with"]) <= set(action["inputs"])
    used = re.findall(r"steps\.check\.outputs\.([\w-]+)", WORKFLOW.read_text())
    assert set(used) <= set(action["outputs"])
    given = re.findall(r"inputs\.([\w-]+)", ACTION.read_text())
    assert set(given) == set(action["inputs"])


def test_the_secrets_of_gitlab_are_apart() -> None:
    data = load(GITLAB)
    assert "PUSH_TOKEN" not in str(data["regreen:fix"])
    assert "regreen/fix" in str(data["regreen:fix"]["environment"])
    assert "regreen/propose" in str(data["regreen:propose"]["environment"])
    assert "merge_request.draft" in str(data["regreen:propose"]["script"])


@pytest.mark.parametrize("words", [[], ["two\nlines"]], ids=["plain", "hostile"])
def test_the_script_of_the_action_calls_the_command(tmp_path: Path, words: list[str]) -> None:
    """As bash runs it, with a stand-in for the installed command that notes its words."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    (script,) = (step["run"] for step in steps(ACTION) if step.get("id") == "fix")
    command = tmp_path / "regreen" / "bin" / "regreen"
    command.parent.mkdir(parents=True)
    command.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "seen = sorted(k for k in os.environ if k.startswith('REGREEN_'))\n"
        "print(json.dumps([sys.argv[1:], seen]))\nsys.exit(1)\n"
    )
    command.chmod(0o755)
    path = "$(touch pwned); `touch pwned` \"'"
    environment = {
        "PATH": "/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path), "INPUT_PATH": path,
        "INPUT_OUTPUT": "out dir", "INPUT_TEST": "\n".join(["a::b c", *words]),
        "INPUT_FAILED_FROM": "--json", "INPUT_REQUIREMENT": "", "INPUT_STRICT": "false",
        "INPUT_SETUP_CMD": "pip install -e . && echo $HOME", "INPUT_TEST_CMD": "",
        "INPUT_IMAGE": "",
        "REGREEN_SANDBOX": "auto", "REGREEN_MODEL": "", "REGREEN_BASE_URL": "",
        "REGREEN_API_KEY": "", "REGREEN_MAX_COST": "1", "REGREEN_MAX_SECONDS": "",
    }  # fmt: skip
    for strict, code in (("false", 0), ("true", 1)):
        done = subprocess.run(
            [bash, "-c", script], env={**environment, "INPUT_STRICT": strict},
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
    called, seen = YAML(typ="safe").load(done.stdout)
    assert called[0] == "fix"
    assert called[-2:] == ["--", path]
    assert "--write=story=out dir/story.json" in called
    assert "--failed-from=--json" in called
    assert "--setup-cmd=pip install -e . && echo $HOME" in called
    assert not [one for one in called if one.startswith(("--test-cmd", "--image"))]
    tests = [one for one in called if one.startswith("--test=")]
    assert tests == [f"--test={one}" for one in ["a::b c", *"\n".join(words).split()]]
    assert seen == ["REGREEN_MAX_COST", "REGREEN_SANDBOX"]
    assert not (tmp_path / "pwned").exists()


def stand_in(folder: Path) -> None:
    """A command in place of the installed one, which prints its words as JSON."""
    command = folder / "regreen" / "bin" / "regreen"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    command.chmod(0o755)


@pytest.mark.parametrize("name", ["check", "propose"])
def test_the_other_scripts_pass_on_what_they_are_given(tmp_path: Path, name: str) -> None:
    stand_in(tmp_path)
    (step,) = (step for step in steps(ACTION) if step.get("id") == name)
    given = {key: f"$(touch pwned) {key}" for key in step["env"]}
    done = subprocess.run(
        ["bash", "-c", step["run"]],
        env={**given, "PATH": "/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    words = json.loads(done.stdout)
    assert words[:2] == ["github", name]
    told = {word.partition("=")[2] for word in words[2:]}
    assert told == {value for key, value in given.items() if key != "GITHUB_TOKEN"}
    assert not (tmp_path / "pwned").exists()


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", *words],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip


@pytest.mark.parametrize("path", ["cart.py", ".gitlab-ci.py", "setup.cfg"])
def test_the_script_of_gitlab_pushes_a_branch_of_sources(tmp_path: Path, path: str) -> None:
    """Run as it stands, with a bare repository on disk in place of GitLab."""
    origin, clone = tmp_path / "shop.git", tmp_path / "clone"
    git(tmp_path, "init", "-q", "--bare", str(origin))
    git(origin, "config", "receive.advertisePushOptions", "true")
    git(tmp_path, "init", "-q", str(clone))
    (clone / path).write_text("a\n")
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "first")
    out = clone / "regreen"
    out.mkdir()
    diff = f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-a\n+b\n"
    (out / "fix.patch").write_text(diff)
    (out / "message").write_text("Fix total\n")
    (out / "result.json").write_text(json.dumps({"fixed": ["b", "a"]}))
    script = "\n".join(load(GITLAB)["regreen:propose"]["script"])
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin", "CI_PROJECT_URL": str(tmp_path / "shop"),
            "CI_COMMIT_BRANCH": "$(touch pwned)", "CI_COMMIT_REF_SLUG": "main",
            "REGREEN_PUSH_TOKEN": "secret",
        },
        cwd=clone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == (path == "cart.py"), done.stdout + done.stderr
    branches = git(origin, "for-each-ref", "--format=%(refname:short)")
    name = hashlib.sha256(b"a\0b").hexdigest()[:16]
    assert branches == (f"regreen/{name}" if path == "cart.py" else "")
    assert "secret" not in done.stdout + done.stderr
    assert not (clone / "pwned").exists()
