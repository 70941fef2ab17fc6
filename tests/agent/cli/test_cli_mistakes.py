"""Bad input and bad weather: one clear line, the right exit code, and nothing is lost."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli import errors
from agent.journal import Journal

Run = Any
RIGHT = "def f(n):\n    return n + 1\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("solve", "humanevil"), "did you mean humaneval? known suites: examples, humaneval"),
        (("solve", "./nothing"), "./nothing: no such file or folder"),
        (("solve", "\x1b[2J"), "names no task"),
        (("solve", "examples/nothing"), "no task 'nothing'"),
        (("eval", "nothing"), "known suites: examples, humaneval"),
        (("eval", "examples", "--task-id", "nothing"), "no task 'nothing' among its"),
        (("verify", "nothing", "--solution", "x"), "known suites: examples, humaneval"),
        (("solve", "add_one", "-m", "gpt"), "write PROVIDER/NAME with a provider out of anthropic"),
        (("solve", "add_one", "-m", "opanai/x"), "known are anthropic, local, openai, replay"),
        (("solve", "add_one", "-m", "local/big"), "unknown weights 'big': known names are smollm2"),
        (("solve", "add_one", "-m", "replay/gone.jsonl"), "there is no file gone.jsonl"),
        (("solve", "add_one", "-m", "openai/x"), "no key; set OPENAI_API_KEY"),
        (("solve", "add_one", "-m", "openai/x", "--base-url", "x"), "is no address; write http"),
        (
            ("solve", "add_one", "--strategy", "luck"),
            "known are adaptive, agreement, beam, best-of-n, decompose",
        ),
        (
            ("solve", "add_one", "--strategy", "beam", "--option", "widht=3"),
            "strategy beam has no option 'widht': its options are",
        ),
        (
            ("solve", "add_one", "--strategy", "beam", "--option", "width=0"),
            "option width of strategy beam: input should be greater than or equal to 1 (given: 0)",
        ),
        (
            ("solve", "add_one", "--strategy", "mcts", "--option", "edits=-2"),
            "option edits of strategy mcts: input should be greater than or equal to 0 (given: -2)",
        ),
        (("eval", "add_one", "--sandbox", "box"), "known are auto, docker, local"),
        (("verify", "add_one", "--solution", "x", "--sandbox", "box"), "known are auto, docker"),
        (("solve", "add_one", "-m", "openai/x", "--max-cost", "1"), "openai/x"),
    ],
)
def test_unknown_names(regreen: Run, add_one: Path, words: tuple[str, ...], said: str) -> None:
    ended = regreen(*words)
    assert ended.code == 2, ended.err
    assert said in ended.line
    assert ended.out == ""
    assert regreen.runs == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t/task.toml", b"prompt = \n", "t/task.toml:1: not TOML"),
        ("t/task.toml", b'prompt = "f"\nentrypoint = "f"\n', "t/task.toml:2: unknown key"),
        ("t/task.toml", b'prompt = """def f(n):\n    ..."""\n', "t/task.toml: no tests"),
        ("t.jsonl", b'{"task_id": "a"\n', "t.jsonl:1: not JSON"),
        ("t.jsonl", b'{"task_id": "a"}\n', "t.jsonl:1: prompt: "),
        ("t.jsonl", b"", "t.jsonl: empty; expected an object with task_id, prompt"),
        ("t.jsonl.gz", b"\x1f\x8bno", "t.jsonl.gz"),
        ("t.py", b"x = 1\n", "t.py: no function or class in it"),
        ("t.txt", b"x", "t.txt: not a task; expected a folder with task.toml"),
    ],
)
def test_malformed_tasks(regreen: Run, name: str, content: bytes, said: str) -> None:
    path = regreen.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    ended = regreen("solve", path.parent if path.parent.name == "t" else path)
    assert ended.code == 2
    assert said in ended.line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"task_id": "add_one"}\n', "line 1: has none of the three; expected an object with"),
        (b"{nope\n", "line 1: no JSON"),
        (b"", "the bank is empty"),
    ],
)
def test_malformed_banks(regreen: Run, add_one: Path, content: bytes, said: str) -> None:
    (regreen.folder / "bank.jsonl").write_bytes(content)
    ended = regreen("solve", add_one, "-m", "replay/bank.jsonl", "-q")
    assert ended.code == 2
    assert said in ended.line


def test_a_test_file_that_is_no_python(regreen: Run, add_one: Path, right_bank: str) -> None:
    (add_one / "test_f.py").write_text("def test_it(:\n")
    ended = regreen("solve", add_one, "-m", right_bank)
    assert ended.code == 2
    assert "test_f.py:1: not valid Python" in ended.line


def test_a_test_file_that_does_not_import(regreen: Run, add_one: Path, right_bank: str) -> None:
    (add_one / "test_f.py").write_text(
        "import nowhere_to_be_found\nfrom solution import f\n\n\ndef test_it():\n    assert f(1)\n"
    )
    said = "its tests can't be used: test_f.py can't be collected: ModuleNotFoundError: No module"
    ended = regreen("solve", add_one, "-m", right_bank)
    assert ended.code == 2
    assert said in ended.err
    (regreen.folder / "right.py").write_text(RIGHT)
    ended = regreen("verify", add_one, "--solution", "right.py")
    assert ended.code == 2
    assert "the tests can't be used: test_f.py can't be collected" in ended.out


def test_a_program_that_breaks_on_import_is_no_fault_of_the_tests(
    regreen: Run, add_one: Path
) -> None:
    (regreen.folder / "bad.py").write_text("def f(n):\n    return n\nraise RuntimeError('no')\n")
    ended = regreen("verify", add_one, "--solution", "bad.py")
    assert ended.code == 1, ended.out
    assert "RuntimeError" in ended.out


def test_a_file_that_cannot_be_written(regreen: Run, add_one: Path, right_bank: str) -> None:
    ended = regreen("solve", add_one, "-m", right_bank, "-o", "/dev/full")
    assert ended.code == 3
    assert "can't write /dev/full: No space left on device" in ended.line
    assert ended.out == RIGHT
    ended = regreen("solve", add_one, "-m", right_bank, "-o", "/proc/no/such/file")
    assert (ended.code, ended.out) == (3, RIGHT)


def test_standard_output_that_cannot_be_written(
    regreen: Run, add_one: Path, right_bank: str
) -> None:
    words = ["solve", str(add_one), "-m", right_bank, "-q"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "agent.cli", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            env=regreen.environment,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr == "regreen: can't write standard output: No space left on device\n"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system")
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up_loses_nothing(
    regreen: Run, add_one: Path, tiny_disk: Path, server: Any, say: Callable[[str], Any]
) -> None:
    count = iter(range(1000))
    server.answer = lambda _request: say(
        f"```python\ndef f(n):\n    return {next(count)}\n```\n" + "words " * 800
    )
    words = (
        "solve",
        add_one,
        *server.words,
        "-q",
        "-n",
        "24",
        "--concurrency",
        "1",
        "--exhaustive",
    )
    ended = regreen(*words, "--runs", tiny_disk)
    assert ended.code == 3, ended.err
    assert "what was received before is kept, make room and go on with --resume" in ended.line
    (run,) = tiny_disk.iterdir()
    roomy = regreen.folder / "roomy" / run.name
    shutil.copytree(run, roomy)
    journal = Journal(roomy)
    kept = journal.keys("sample")
    journal.close()
    assert len(kept) >= 3
    asked = len(server.requests)
    ended = regreen(*words, "--runs", roomy.parent, "--resume", run.name)
    assert ended.code == 1
    assert len(server.requests) - asked == 24 - len(kept)


def test_a_disk_that_is_full_already(
    regreen: Run, add_one: Path, tiny_disk: Path, right_bank: str
) -> None:
    with pytest.raises(OSError, match="No space"):
        (tiny_disk / "filler").write_bytes(b"x" * 100_000)
    ended = regreen("solve", add_one, "-m", right_bank, "--runs", tiny_disk, "-q")
    assert ended.code == 3
    assert "No space left on device; make room, or choose another place with --runs" in ended.line


def test_a_runs_folder_that_cannot_be(regreen: Run, add_one: Path, right_bank: str) -> None:
    (regreen.folder / "file").write_text("")
    ended = regreen("eval", add_one, "-m", right_bank, "--runs", "file/runs", "-q")
    assert ended.code == 3
    assert "no run folder can be made at file/runs" in ended.line


def test_no_engine(regreen: Run, add_one: Path, right_bank: str) -> None:
    gone = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    ended = regreen("solve", add_one, "-m", right_bank, "--sandbox", "docker", env=gone)
    assert ended.code == 3
    assert "no Docker engine answers" in ended.line
    assert "start one, or use --sandbox local" in ended.line
    assert regreen.runs == []
    ended = regreen("sandbox", "build", env=gone)
    assert ended.code == 3
    assert "no Docker engine answers" in ended.line


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_no_image(regreen: Run, add_one: Path, right_bank: str) -> None:
    words = ("--sandbox", "docker", "--image", "no-such-image:really")
    ended = regreen("solve", add_one, "-m", right_bank, *words)
    assert ended.code == 3
    assert "the image no-such-image:really can't be used" in ended.line


def failing(status: int, body: bytes = b"", *, retry_after: str = "") -> Callable[[Any], Any]:
    headers = {"Content-Type": "application/json"}
    if retry_after:
        headers["Retry-After"] = retry_after
    return lambda _request: (status, dict(headers), body)


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (failing(401, b'{"error": {"message": "no"}}'), 2, "refuses the key (401); set OPENAI_API"),
        (failing(404, b'{"error": {"message": "no"}}'), 2, "no such model or address (404)"),
        (failing(429, retry_after="0"), 3, "the server answers 429 (tried 5 times)"),
        (failing(429, retry_after="3600"), 3, "the server asks to wait 3600 s"),
        (failing(503, retry_after="0"), 3, "the server answers 503 (tried 5 times)"),
        (failing(200, b"<!doctype html><p>hi"), 3, "answers with HTML instead of JSON; check the"),
        (failing(200, b'"text"'), 3, "instead of JSON"),
        (failing(200, b'{"choices": 7}'), 3, '"choices" is no list'),
    ],
)
def test_a_server_that_gives_no_answer(
    regreen: Run, add_one: Path, server: Any, answer: Any, code: int, said: str
) -> None:
    server.answer = answer
    ended = regreen("solve", add_one, *server.words, "--concurrency", "1")
    assert ended.code == code
    assert said in ended.line
    assert "stamina" not in ended.err
    assert ended.err.count("\n") == 2  # which sandbox and model, and the mistake


def test_faults_that_stay_end_after_bounded_retries(
    regreen: Run, add_one: Path, server: Any
) -> None:
    """Side by side: each waits between its tries."""
    server.answer = failing(200, b'{"choices": []}')
    down = ("--model", "openai/test", "--base-url", "http://127.0.0.1:9/v1")
    began = time.monotonic()
    running = [regreen.start("solve", add_one, *words) for words in (down, server.words)]
    without_server, empty = (regreen.end(process) for process in running)
    assert time.monotonic() - began < 150
    assert without_server.code == 3
    assert "can't reach the server at 127.0.0.1:9" in without_server.line
    assert empty.code == 3
    assert "the answer ends without any choice (tried 5 times)" in empty.line
    for ended in (without_server, empty):
        assert "retry" not in ended.err


def test_an_answer_that_breaks_off_is_asked_for_again(
    regreen: Run, add_one: Path, server: Any, say: Callable[[str], Any]
) -> None:
    event = json.dumps({"choices": [{"index": 0, "delta": {"content": "```python\ndef f(n"}}]})
    cut = f"data: {event}\n\n".encode()
    broken = (200, {"Content-Type": "text/event-stream", "X-Promise": "5000"}, cut)
    answers = iter([broken])
    server.answer = lambda _request: next(answers, None) or say(f"```python\n{RIGHT}```")
    ended = regreen("solve", add_one, *server.words, "--concurrency", "1", "--json", "-q")
    assert (ended.code, ended.err) == (0, "")
    (solution,) = ended.rows
    assert solution["program"] == RIGHT
    assert len(server.requests) == 2
    assert solution["samples"] == 1
    assert solution["tokens_in"] > 50  # what the answer that broke off has cost is counted


def test_an_answer_of_megabytes_is_cut(
    regreen: Run, add_one: Path, server: Any, say: Callable[[str], Any]
) -> None:
    big = say("```python\ndef f(n):\n    return n\n" + "# filler\n" * 1_200_000)
    server.answer = lambda _request: big
    ended = regreen("solve", add_one, *server.words, "-n", "1", "--json", "-q")
    assert ended.code == 1, ended.err
    assert len(ended.rows[0]["program"]) < 200_000
    assert (regreen.runs[0] / "journal.jsonl").stat().st_size < 1_000_000


@pytest.mark.parametrize("name", ["tasks", "verifiers"])
def test_a_module_of_our_name_is_told(regreen: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("")
    path = f"{tmp_path}{os.pathsep}{regreen.environment['PYTHONPATH']}"
    ended = regreen("doctor", env={"PYTHONPATH": path})
    assert ended.code == 2
    assert f"another module {name!r} before Regreen's: {tmp_path / name}.py; rename" in ended.line


def test_every_error_that_has_a_code_is_one_that_there_is() -> None:
    for name, _ in errors.CODES:
        module, _, kind = name.rpartition(".")
        found = getattr(importlib.import_module(module), kind)
        assert issubclass(found, Exception), name
        assert f"{found.__module__}.{found.__qualname__}" == name
        assert errors.known_error(ExceptionGroup("", [found("said")])) is not None
