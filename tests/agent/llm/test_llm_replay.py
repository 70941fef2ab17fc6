"""The replayed bank: order, shuffling, kinds of rows, running dry, and rows that are wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from agent.llm.base import BankExhaustedError, Message, ModelConfigError, ModelRequest
from agent.llm.replay import ReplayModel

CHAT = (Message(role="user", content="c" * 400),)


def request(task_id: str = "T/1", index: int = 0, n: int = 1) -> ModelRequest:
    return ModelRequest(messages=CHAT, task_id=task_id, index=index, n=n)


def bank(folder: Path, *rows: object, name: str = "bank.jsonl") -> str:
    path = folder / name
    text = "\n\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(path)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["bank.jsonl", "bank.jsonl.gz"])
async def test_samples_are_served_by_index_in_recorded_order(tmp_path: Path, name: str) -> None:
    row = {"task_id": "T/1", "prompt": "def f():\n", "samples": ["    a", "    b", "    c"]}
    model = ReplayModel(bank(tmp_path, row, name=name))
    texts = [(await model.complete(request(index=i)))[0].text for i in range(3)]
    assert texts == ["    a", "    b", "    c"]
    [completion] = await model.complete(request(index=1))
    assert completion.kind == "continuation"
    assert completion.finish == "stop"
    assert completion.seconds == 0
    assert completion.usage.estimated
    assert completion.usage.tokens_in == 3  # the recorded prompt's nine characters
    assert completion.usage.tokens_out == 2


@pytest.mark.anyio
async def test_a_row_per_sample(tmp_path: Path) -> None:
    rows = [{"task_id": t, "completion": f"    {t}{i}"} for i in range(2) for t in ("a", "b")]
    model = ReplayModel(bank(tmp_path, *rows))
    answers = await model.complete(request("b", n=2))
    assert [a.text for a in answers] == ["    b0", "    b1"]
    assert {a.kind for a in answers} == {"continuation"}
    assert answers[0].usage.tokens_in == 100  # no prompt recorded: the chat's


@pytest.mark.anyio
async def test_whole_programs_come_as_chat_in_a_fence(tmp_path: Path) -> None:
    plain, ticks = "def f():\n    pass\n", 'def f():\n    """```x```"""\n'
    model = ReplayModel(
        bank(tmp_path, *({"task_id": "T/1", "solution": s} for s in (plain, ticks)))
    )
    first, second = await model.complete(request(n=2))
    assert first.kind == "chat"
    assert first.text == "```python\ndef f():\n    pass\n```\n"
    assert second.text.startswith("````python\n")
    assert second.text.endswith("\n````\n")


@pytest.mark.anyio
async def test_a_bank_that_runs_dry_is_a_clear_end(tmp_path: Path) -> None:
    model = ReplayModel(bank(tmp_path, {"task_id": "T/1", "samples": ["a", "b"]}))
    assert len(await model.complete(request(index=1, n=5))) == 1
    with pytest.raises(BankExhaustedError, match=r"'T/1' has 2 samples, number 3 was asked for"):
        await model.complete(request(index=2))
    with pytest.raises(BankExhaustedError, match=r"no samples for task 'T/9'.*'T/1'"):
        await model.complete(request("T/9"))


@pytest.mark.anyio
async def test_a_seed_shuffles_each_task_the_same_way_every_time(tmp_path: Path) -> None:
    samples = [str(i) for i in range(30)]
    path = bank(tmp_path, *({"task_id": t, "samples": samples} for t in ("a", "b")))

    async def order(seed: int | None, task: str) -> list[str]:
        model = ReplayModel(path, shuffle_seed=seed)
        return [a.text for a in await model.complete(request(task, n=30))]

    assert await order(1, "a") == await order(1, "a")
    orders = [await order(None, "a"), await order(1, "a"), await order(2, "a"), await order(1, "b")]
    assert orders[0] == samples
    assert all(sorted(o, key=int) == samples for o in orders)
    assert len({tuple(o) for o in orders}) == 4


@pytest.mark.anyio
async def test_rows_of_one_recorded_model(tmp_path: Path) -> None:
    rows = [{"task_id": "T/1", "model": m, "completion": m} for m in ("weak", "strong")]
    path = bank(tmp_path, *rows)
    [completion] = await ReplayModel(f"{path}#model=strong").complete(request(n=9))
    assert (completion.text, completion.model) == ("strong", "strong")
    with pytest.raises(ModelConfigError, match="strong, weak"):
        await ReplayModel(f"{path}#model=none").complete(request())


@pytest.mark.anyio
async def test_prompts_given_beside_the_bank_are_used_for_the_estimate(tmp_path: Path) -> None:
    path = bank(tmp_path, {"task_id": "T/1", "completion": "x"})
    [completion] = await ReplayModel(path, prompts={"T/1": "p" * 80}).complete(request())
    assert completion.usage.tokens_in == 20


@pytest.mark.anyio
@pytest.mark.parametrize(
    "row",
    [
        "{",
        "[1]",
        '"text"',
        {"samples": ["x"]},
        {"task_id": 3, "completion": "x"},
        {"task_id": "a"},
        {"task_id": "a", "samples": "x"},
        {"task_id": "a", "samples": [1]},
        {"task_id": "a", "completion": None},
        {"task_id": "a", "completion": "x", "samples": ["y"]},
        "[" * 100_000,
    ],
)
async def test_a_malformed_row_is_named_by_line(tmp_path: Path, row: object) -> None:
    path = bank(tmp_path, {"task_id": "T/1", "completion": "x"}, row)
    with pytest.raises(ModelConfigError) as caught:
        await ReplayModel(path).complete(request())
    message = str(caught.value)
    assert f"{path}, line 3:" in message
    assert '"samples"' in message
    assert "\n" not in message


@pytest.mark.anyio
@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\n"])
async def test_a_file_that_is_no_bank(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bank.jsonl"
    path.write_bytes(content)
    with pytest.raises(ModelConfigError, match=r"bank\.jsonl"):
        await ReplayModel(str(path)).complete(request())


@pytest.mark.anyio
@pytest.mark.parametrize("damage", ["short", "flipped"])
async def test_a_broken_gzip_file(tmp_path: Path, damage: str) -> None:
    path = damaged(bank(tmp_path, {"task_id": "T/1", "samples": ["x" * 999]}, name="b.gz"), damage)
    with pytest.raises(ModelConfigError, match=r"b\.gz"):
        await ReplayModel(path).complete(request())


def damaged(path: str, damage: str) -> str:
    data = Path(path).read_bytes()
    cut = data[:-9] if damage == "short" else data[:20] + b"\xff" * 9 + data[29:]
    Path(path).write_bytes(cut)
    return path


def test_a_missing_file_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelConfigError, match="there is no file"):
        ReplayModel(str(tmp_path / "none.jsonl"))


@pytest.mark.anyio
async def test_a_real_bank_of_16400_samples(benchmark_data: Path) -> None:
    model = ReplayModel(str(benchmark_data / "codegen16b_humaneval_code_solution.jsonl.gz"))
    for task in range(164):
        answers = await model.complete(request(f"HumanEval/{task}", n=101))
        assert len(answers) == 100
    await model.aclose()
