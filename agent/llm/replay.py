"""Serves recorded samples as a model would, so that a search can be measured again and again.

A bank is a file of JSON rows, one a line, plain or gzipped:

    {"task_id": ..., "prompt": ..., "samples": [...]}   continuations, a row per task
    {"task_id": ..., "completion": ...}                 a continuation, a row per sample
    {"task_id": ..., "solution": ...}                   a whole program, a row per sample
"""

from __future__ import annotations

import functools
import gzip
import json
import random
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, cast

import anyio
from anyio import to_thread

from agent.llm.base import BankExhaustedError, Completion, ModelConfigError, ModelRequest
from agent.llm.registry import ModelOptions
from agent.llm.usage import estimate_usage, message_chars

_LINE_BYTES = 64 * 2**20
_EXPECTED = (
    'expected an object with "task_id" and one of "samples" (a list of strings), "completion"'
    ' or "solution" (a string)'
)
Kind = Literal["chat", "continuation"]


@dataclass(slots=True)
class _Sample:
    text: str
    kind: Kind
    model: str


@dataclass(slots=True)
class _Recorded:
    samples: list[_Sample] = field(default_factory=list)
    prompt_chars: int | None = None


class ReplayModel:
    """A bank of recorded samples, served by `request.index`.

    A row's own `prompt` is never put before a sample: a continuation belongs to the task's
    prompt as the caller has it.

    Args:
        path: the bank; `FILE#model=NAME` takes only the rows whose `model` is NAME, so that a bank
            of several models can be each of them.
        shuffle_seed: None serves in recorded order; else each task has an order of its own.
        prompts: prompts by task id, to estimate tokens for rows that carry none.

    Raises:
        ModelConfigError: there is no such file.
    """

    def __init__(
        self,
        path: str,
        *,
        shuffle_seed: int | None = None,
        prompts: Mapping[str, str] | None = None,
    ) -> None:
        self._spec = path
        self._path, self._only = _split(path)
        if not self._path.is_file():
            raise ModelConfigError(
                f"replay/{path}: there is no file {self._path}; give a .jsonl or .jsonl.gz bank"
            )
        self._seed = shuffle_seed
        self._prompts = prompts or {}
        self._bank: dict[str, _Recorded] | None = None
        self._loading = anyio.Lock()

    @property
    def name(self) -> str:
        """`replay/PATH`, as given."""
        return f"replay/{self._spec}"

    async def complete(self, request: ModelRequest) -> Sequence[Completion]:
        """Serves samples `index` to `index + n - 1` of the task; fewer where the bank ends.

        Raises:
            BankExhaustedError: the bank has none of them.
            ModelConfigError: the file can't be read, or a row is malformed.
        """
        bank = await self._load()
        recorded = bank.get(request.task_id)
        if recorded is None:
            example = next(iter(bank))
            raise BankExhaustedError(
                f"{self.name}: no samples for task {request.task_id!r} (the bank holds"
                f" {len(bank)} tasks, such as {example!r})"
            )
        order = self._order(request.task_id, len(recorded.samples))
        chosen = order[request.index : request.index + request.n]
        if not chosen:
            raise BankExhaustedError(
                f"{self.name}: the bank ran dry: task {request.task_id!r} has"
                f" {len(order)} samples, number {request.index + 1} was asked for"
            )
        chars_in = recorded.prompt_chars
        if chars_in is None:
            prompt = self._prompts.get(request.task_id)
            chars_in = message_chars(request.messages) if prompt is None else len(prompt)
        return [self._completion(recorded.samples[i], chars_in) for i in chosen]

    async def aclose(self) -> None:
        """Forgets the bank; a later request reads it again."""
        self._bank = None

    def _completion(self, sample: _Sample, chars_in: int) -> Completion:
        text = _fenced(sample.text) if sample.kind == "chat" else sample.text
        return Completion(
            text=text,
            usage=estimate_usage(chars_in, len(sample.text)),
            finish="stop",
            model=sample.model or self.name,
            seconds=0.0,
            kind=sample.kind,
        )

    def _order(self, task_id: str, size: int) -> list[int]:
        order = list(range(size))
        if self._seed is not None:
            # A string seeds by its hash under SHA-512: the same order on every machine.
            random.Random(f"{self._seed}:{task_id}").shuffle(order)
        return order

    async def _load(self) -> dict[str, _Recorded]:
        async with self._loading:
            if self._bank is None:
                read = functools.partial(_read_bank, self._path, self._only, self.name)
                self._bank = await to_thread.run_sync(read)
            return self._bank


def read_keys(path: Path) -> tuple[tuple[str, str], ...]:
    """Task and model of each row of a bank, none twice, in the order of the file.

    Raises:
        ModelConfigError: it can't be read, or a row is malformed.
    """
    try:
        rows = (_row(line, f"{path}, line {number}") for number, line in _lines(path))
        return tuple(
            dict.fromkeys((str(row["task_id"]), str(row.get("model", ""))) for row in rows)
        )
    except (OSError, EOFError) as error:
        raise ModelConfigError(f"{path} can't be read: {error}") from None


def build(rest: str, options: ModelOptions) -> ReplayModel:
    """Builds `replay/REST` for the registry."""
    return ReplayModel(rest, shuffle_seed=options.shuffle_seed, prompts=options.prompts)


def _split(spec: str) -> tuple[Path, str | None]:
    """The path, and the recorded model's name if only its rows are wanted."""
    path, mark, only = spec.rpartition("#model=")
    if mark and not Path(spec).expanduser().is_file():
        return Path(path).expanduser(), only
    return Path(spec).expanduser(), None


def _read_bank(path: Path, only: str | None, name: str) -> dict[str, _Recorded]:
    bank: dict[str, _Recorded] = {}
    models: set[str] = set()
    try:
        for number, line in _lines(path):
            row = _row(line, f"{path}, line {number}")
            model = str(row.get("model", ""))
            models.add(model)
            if only is None or model == only:
                recorded = bank.setdefault(row["task_id"], _Recorded())  # type: ignore[arg-type]
                _add(recorded, row, model, f"{path}, line {number}")
    except (OSError, EOFError) as error:
        raise ModelConfigError(f"{name}: {path} can't be read: {error}") from None
    if not bank and models and only is not None:
        known = ", ".join(sorted(m for m in models if m)) or "none"
        raise ModelConfigError(f"{name}: no row has the model {only!r}; the bank's are: {known}")
    if not bank:
        raise ModelConfigError(f"{name}: the bank is empty; {_EXPECTED} on each line")
    return bank


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank; one beyond all measure is refused, not loaded."""
    with ExitStack() as stack:
        source: BinaryIO = stack.enter_context(path.open("rb"))
        if source.read(2) == b"\x1f\x8b":
            source = cast(BinaryIO, stack.enter_context(gzip.open(path, "rb")))
        source.seek(0)
        number = 0
        try:
            while line := source.readline(_LINE_BYTES + 1):
                number += 1
                if len(line) > _LINE_BYTES:
                    raise ModelConfigError(
                        f"{path}, line {number}: longer than {_LINE_BYTES // 2**20} MiB;"
                        f" {_EXPECTED}"
                    )
                if line.strip():
                    yield number, line
        except zlib.error as error:
            raise ModelConfigError(f"{path}, after line {number}: broken gzip: {error}") from None


def _row(line: bytes, where: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise ModelConfigError(f"{where}: no JSON ({reason}); {_EXPECTED}") from None
    if not isinstance(row, dict) or not isinstance(row.get("task_id"), str):
        raise ModelConfigError(f"{where}: {_EXPECTED}")
    return row


def _add(recorded: _Recorded, row: Mapping[str, object], model: str, where: str) -> None:
    # our own samples.jsonl has a solution, and the same again as a completion for other harnesses
    present = [key for key in ("samples", "solution", "completion") if key in row]
    if present == ["solution", "completion"]:
        present = ["solution"]
    if len(present) != 1:
        found = " and ".join(f'"{key}"' for key in present) or "none of the three"
        raise ModelConfigError(f"{where}: has {found}; {_EXPECTED}")
    value = row[present[0]]
    texts = value if present == ["samples"] else [value]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ModelConfigError(f'{where}: "{present[0]}" has the wrong type; {_EXPECTED}')
    kind: Kind = "chat" if present == ["solution"] else "continuation"
    recorded.samples.extend(_Sample(text, kind, model) for text in texts)
    if isinstance(prompt := row.get("prompt"), str):
        recorded.prompt_chars = len(prompt)


def _fenced(program: str) -> str:
    """A program as a chat answer; the fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`{3,}", program)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}python\n{program.rstrip()}\n{fence}\n"
