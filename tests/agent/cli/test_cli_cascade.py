"""Cascades, early stops and the books, through the real command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.settings import SettingsError, load_settings

Run = Any
TASKS = [f"add/{k}" for k in range(1, 7)]


def adds(k: int) -> str:
    return f"def f(n):\n    return n + {k}\n"


@pytest.fixture
def models(tmp_path: Path) -> Callable[[str], str]:
    """A bank of two models: the cheap one knows the first two tasks, the better one five."""
    path = tmp_path / "models.jsonl"
    rows = [
        {"task_id": task, "model": name, "solution": adds(k if k <= known else 99)}
        for name, known in (("cheap", 2), ("better", 5))
        for k, task in enumerate(TASKS, 1)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return lambda name: f"replay/{path}#model={name}"


def test_the_better_model_is_asked_where_the_cheap_one_fails(
    regreen: Run, suite: Path, models: Callable[[str], str]
) -> None:
    cascade = f"{models('cheap')},{models('better')}"
    words = ("eval", suite, "--cascade", cascade, "--cascade-samples", "1,1", "--protocol", "given")
    ended = regreen(*words, "--json", "-q")
    assert (ended.code, ended.err) == (0, "")
    *scores, report = ended.rows
    assert report["solved"] == 5
    first, second = report["ledger"]
    assert (first["tier"], first["model"], first["samples"]) == (0, models("cheap"), 6)
    assert (second["tier"], second["model"], second["samples"]) == (1, models("better"), 4)
    assert first["strategy"] == second["strategy"] == "cascade of adaptive"
    by_task = [entry for score in scores for entry in score["ledger"]]
    assert len(by_task) == 10
    assert sum(entry["tokens_out"] for entry in by_task) == report["tokens_out"]
    plain = regreen(*words)
    assert f"1. {models('cheap')[:40]}" in plain.out
    assert "4 samples, about" in plain.out


def test_a_cascade_in_a_file_and_its_resumption(
    regreen: Run, suite: Path, models: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.regreen]\n"
        f'cascade = ["{models("cheap")}", "{models("better")}"]\n'
        "cascade_samples = [1, 1]\n"
        "cascade_failures = 1\n"
    )
    ended = regreen("eval", suite, "--json", "-q")
    assert ended.rows[-1]["solved"] == 5
    again = regreen("eval", suite, "--json", "-q", "--resume", regreen.runs[-1])
    report = again.rows[-1]
    assert report["replayed"] == 10
    assert [entry["samples"] for entry in report["ledger"]] == [6, 4]
    other = regreen("eval", suite, "--resume", regreen.runs[-1], "--cascade-failures", "0")
    assert other.code == 2
    assert "cascade_failures differ" in other.line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cascade", "local/smollm2-135m,opanai/x"), "known are anthropic, local, openai"),
        (("--cascade", "local/smollm2-135m", "--cascade-samples", "1,2"), "1 models: give one"),
        (("--cascade", "local/smollm2-135m", "--cascade-samples", "0"), "greater than or equal"),
        (("--cascade-samples", "2"), "cascade has 0 models"),
        (("--effort", "huge"), "--effort: input should be 'none', 'minimal'"),
        (("--thinking-tokens", "0"), "--thinking-tokens: input should be greater"),
        (("--cascade", "local/smollm2-135m,openai/x", "--max-cost", "1"), "openai/x"),
    ],
)
def test_mistakes(regreen: Run, add_one: Path, words: tuple[str, ...], said: str) -> None:
    ended = regreen("solve", add_one, *words)
    assert ended.code == 2, ended.err
    assert said in ended.line


def test_settings_read_lists_from_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGREEN_CASCADE", "local/a, openai/b")
    monkeypatch.setenv("REGREEN_CASCADE_SAMPLES", "3,4")
    settings = load_settings()
    assert settings.models == ("local/a", "openai/b")
    assert settings.cascade_samples == (3, 4)
    assert settings.calls_at_a_time == 1
    assert load_settings({"cascade": "x/y", "cascade_samples": "5"}).models == ("x/y",)
    with pytest.raises(SettingsError, match="2 models: give one number a model"):
        load_settings({"cascade_samples": "1,2,3"})
    monkeypatch.delenv("REGREEN_CASCADE")
    monkeypatch.delenv("REGREEN_CASCADE_SAMPLES")
    assert load_settings().models == ("local/smollm2-135m",)


def test_an_answer_is_stopped_only_where_that_is_wanted(
    regreen: Run, add_one: Path, server: Any
) -> None:
    wrong = "def f():\n    return 1\n"
    right = "def f(n):\n    return n + 1\n"

    def stream(request: dict[str, Any]) -> Any:
        texts = ["```python\n", *wrong.splitlines(keepends=True)]
        if request["messages"]:
            texts += [f"\n\n{right}", "```\n"]
        events = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        return 200, {"Content-Type": "text/event-stream"}, body.encode()

    server.answer = stream
    words = ("solve", add_one, *server.words, "-n", "1", "--json", "-q")
    stopped = regreen(*words)
    (solution,) = stopped.rows
    assert (stopped.code, solution["solved"], solution["ledger"][0]["cut"]) == (1, False, 1)
    whole = regreen(*words, "--no-early-stop")
    (solution,) = whole.rows
    assert (whole.code, solution["solved"], solution["ledger"][0]["cut"]) == (0, True, 0)
