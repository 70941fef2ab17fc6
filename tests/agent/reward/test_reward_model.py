"""A reward model's file: what is read is what was written, and nothing else is read."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from agent.reward.model import (
    Linear,
    RewardError,
    RewardModel,
    Training,
    read_reward,
    write_reward,
)

SIGNS = ("a", "b")
MODEL = RewardModel(
    signs=SIGNS,
    model=Linear(bias=1.0, weights=(2.0, -1.0)),
    slope=0.5,
    shift=1.0,
    training=Training(runs=("r",), tasks=9),
)


def test_a_file_gives_back_the_model(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    write_reward(path, MODEL)
    assert read_reward(path, SIGNS) == MODEL
    assert read_reward(path, SIGNS).training.runs == ("r",)


def test_values() -> None:
    assert MODEL.value((0.0, 3.0)) == pytest.approx(0.5)  # half of 1 - 3, and one more
    assert MODEL.value((1.0, 3.0)) == pytest.approx(1 / (1 + 2.718281828**-1))
    assert MODEL.value((1e9, 0.0)) == pytest.approx(1.0)  # no overflow on either side
    assert MODEL.value((-1e9, 0.0)) == pytest.approx(0.0)


def changed(**parts: Any) -> dict[str, Any]:
    return MODEL.model_dump(mode="json") | parts


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no reward model"),
        ({"name": "a profile"}, "no reward model"),
        (changed(version=2), "version 2"),
        (changed(signs=["a", "c"]), "other signs"),
        (changed(signs=["a"]), "asks for other signs"),
        (changed(model={"kind": "linear", "bias": 0.0, "weights": [1.0]}), "asks for other signs"),
        (changed(model={"kind": "python", "code": "1"}), "model"),
        (changed(slope="0.5x"), "slope"),
        (changed(more=1), "more"),
    ],
)
def test_what_is_no_such_model_is_refused(content: Any, why: str, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(RewardError, match=why) as caught:
        read_reward(path, SIGNS)
    assert "\n" not in str(caught.value)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(changed(slope=float("nan"))))
    with pytest.raises(RewardError, match="slope"):
        read_reward(path, SIGNS)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "m.json"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(RewardError):
        read_reward(path, SIGNS)
    assert not (tmp_path / "ran").exists()


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(RewardError, match="No such file"):
        read_reward(tmp_path / "none.json", SIGNS)
    with pytest.raises(RewardError, match="No such file"):
        write_reward(tmp_path / "none" / "m.json", MODEL)
