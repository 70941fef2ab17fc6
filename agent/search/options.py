"""A strategy's own options: read, checked at once, and listed where a name is unknown.

StrategyError
├── UnknownStrategyError   no strategy of that name
└── StrategyOptionError    an option that the strategy doesn't have, or a value it doesn't take
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.search.base import StrategyOptions


class StrategyError(Exception):
    """A strategy can't be made as asked. One line: what was given, what is allowed."""


class UnknownStrategyError(StrategyError):
    """No strategy of that name; the message lists the known ones."""


class StrategyOptionError(StrategyError):
    """An option that the strategy doesn't have, or a value that it doesn't take. One line."""


class OwnOptions(BaseModel):
    """The base of every strategy's own options; each field has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Own = TypeVar("Own", bound=OwnOptions)


def read_own(strategy: str, kind: type[Own], options: StrategyOptions) -> Own:
    """The strategy's own options, as the user set them.

    Raises:
        StrategyOptionError: an unknown name or a value that is not allowed.
    """
    try:
        return kind.model_validate(dict(options.own))
    except ValidationError as error:
        first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        known = ", ".join(f"{key}={value.default}" for key, value in kind.model_fields.items())
        has = f"its options are {known}" if known else "it has none of its own"
        raise StrategyOptionError(f"strategy {strategy} has no option {name!r}: {has}")
    raise StrategyOptionError(
        f"option {name} of strategy {strategy}: {str(first['msg']).lower()} "
        f"(given: {first.get('input')!r})"
    )
