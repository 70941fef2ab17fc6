"""A learned reward as a file: coefficients in JSON, read without running anything.

RewardError    it can't be read, written or learned; one line

A model is asked without the library that fitted it. Nothing in a file is code, and a file that is
no model of this format and version is refused, with what is wrong.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FORMAT = "regreen reward model"
VERSION = 1
_MOST_BYTES = 1_000_000


class RewardError(Exception):
    """A reward model can't be read, written or learned. One line: which, and what is wrong."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Linear(_Frozen):
    """A linear model of the logit.

    Attributes:
        bias: where all signs are 0.
        weights: one a sign, in the order of the model's signs.
    """

    kind: Literal["linear"] = "linear"
    bias: float
    weights: tuple[float, ...]

    def logit(self, values: Sequence[float]) -> float:
        """Of the signs' values."""
        return self.bias + math.fsum(w * x for w, x in zip(self.weights, values, strict=True))


class Bin(_Frozen):
    """One line of a reliability diagram.

    Attributes:
        share: of all cases.
        said: their mean value.
        right: the share of them that came true.
    """

    share: float
    said: float
    right: float


class Training(_Frozen):
    """What a model was learned from, and how well it did on tasks that it had not seen.

    Attributes:
        runs: whose journals were read.
        models: that wrote the programs.
        suites: or tasks, that they were written for.
        tasks: with something to learn from.
        programs: judged.
        cases: groups of programs that were looked at.
        library: and its version, which fitted the model.
        auc: area under the curve for "passes the tests that were held out too", cross-validated by
            task.
        by_size: the same where groups are ranked by their size.
        error: expected calibration error, likewise.
        reliability: the table behind it.
    """

    runs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    tasks: int = 0
    programs: int = 0
    cases: int = 0
    library: str = ""
    auc: float = 0.0
    by_size: float = 0.0
    error: float = 0.0
    reliability: tuple[Bin, ...] = ()


class RewardModel(_Frozen):
    """What a program that passes the visible tests is worth.

    Attributes:
        format: of the file.
        version: of the format.
        signs: names of what it looks at, in order.
        model: of the raw logit.
        slope: of the calibration, which is linear in the raw logit: Platt, "Probabilistic Outputs
            for Support Vector Machines" (1999).
        shift: of the calibration.
        training: where it comes from.
    """

    format: Literal["regreen reward model"] = "regreen reward model"
    version: Literal[1] = 1
    signs: tuple[str, ...]
    model: Linear
    slope: float = 1.0
    shift: float = 0.0
    training: Training = Field(default=Training(), repr=False)

    @model_validator(mode="after")
    def _whole(self) -> RewardModel:
        if len(self.model.weights) != len(self.signs):
            raise ValueError("the model asks for other signs than it names")
        return self

    def value(self, values: Sequence[float]) -> float:
        """The probability that a program passes tests that it was not shown, too.

        Args:
            values: of the signs, in the order of `signs`.
        """
        logit = self.slope * self.model.logit(values) + self.shift
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))


def read_reward(path: Path, signs: Sequence[str]) -> RewardModel:
    """The model in a file.

    Args:
        path: of the file.
        signs: that are known here; a model of other ones is refused.

    Raises:
        RewardError: it can't be read, or is no model that can be used here.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RewardError(f"reward model {path}: larger than {_MOST_BYTES} bytes")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RewardError(f"reward model {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RewardError(f"reward model {path}: no JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise RewardError(
            f"reward model {path}: no reward model; `regreen train-reward` writes one"
        )
    if data.get("version") != VERSION:
        raise RewardError(
            f"reward model {path}: version {data.get('version')!r} of the format, and {VERSION} is "
            "known here: train it anew"
        )
    try:
        found = RewardModel.model_validate_json(json.dumps(data))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RewardError(f"reward model {path}: {where}: {first['msg'].lower()}") from None
    if found.signs != tuple(signs):
        raise RewardError(
            f"reward model {path}: it looks at other signs than this version: train it anew"
        )
    return found


def write_reward(path: Path, model: RewardModel) -> None:
    """Writes a model.

    Raises:
        RewardError: it can't be written.
    """
    text = json.dumps(model.model_dump(mode="json"), indent=1) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RewardError(f"reward model {path}: {error.strerror}") from None
