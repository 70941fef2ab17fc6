"""Every kept input is dealt with, and the fuzzers themselves still run."""

from __future__ import annotations

import gc
import importlib.util
import json
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sandbox.guest import wire
from tests.fuzz import extract
from tests.fuzz import wire as fuzzed_wire
from tests.fuzz.run import TARGETS, corpus, load
from tests.sandbox.test_wire_fuzz import messages


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus(target: str) -> None:
    module = load(target)
    inputs = [path.read_bytes() for path in sorted(corpus(target).iterdir())]
    assert inputs
    slowest = 0.0
    for data in [*module.seeds(), *inputs]:
        began = time.process_time()
        try:
            module.check(data)
        except Exception as error:
            raise AssertionError(module.describe(data)) from error
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 5


@pytest.mark.parametrize("target", TARGETS)
def test_memory_does_not_grow(target: str) -> None:
    """What is read leaves nothing behind, in caches or otherwise."""
    module = load(target)
    inputs = module.seeds()

    def all_of_them() -> int:
        for data in inputs:
            module.check(data)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        all_of_them()
        before = all_of_them()
        for _ in range(3):
            after = all_of_them()
    finally:
        tracemalloc.stop()
    assert after - before < 16 << 10


def test_the_corpus_is_small() -> None:
    files = [path for target in TARGETS for path in corpus(target).iterdir()]
    assert len(files) <= 800
    assert sum(path.stat().st_size for path in files) < 1 << 20


@pytest.mark.parametrize("target", TARGETS)
def test_the_fuzzer_finds_nothing_in_a_moment(target: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not here; it has wheels for Linux, and comes with regreen[fuzz]")
    script = Path(__file__).with_name("run.py")
    done = subprocess.run(
        [sys.executable, str(script), target, "--seconds", "2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done " in done.stderr
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 6),
    st.lists(st.sampled_from(extract.WORDS) | st.text(max_size=8), max_size=20).map("".join),
)
def test_answers_of_fragments(task: int, answer: str) -> None:
    extract.check(bytes([task]) + answer.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from((2, 3, 4)),
    st.lists(st.tuples(st.sampled_from("vxmb"), messages), min_size=1, max_size=4),
)
@example(3, [("v", {"x": ["Fraction", ["0x1"]]})])
@example(4, [("m", {"x": ["Fraction", ["0x1"]]})])
@example(2, [("x", [[["ValueError", None]], [{"x": ["Fraction", ["0x1"]]}], "", [], None, 0])])
def test_conversations_of_any_messages(way: int, replies: list[tuple[str, Any]]) -> None:
    talk = wire.dump({"r": 0, "v": None})
    for call, (part, message) in enumerate(replies, start=1):
        said = {"m": [message] * 3, "v": None} if part == "m" else {part: message}
        body = json.dumps({"r": call, **said}).encode()
        talk += len(body).to_bytes(4, "big") + body
    fuzzed_wire.check(bytes([way]) + talk)
