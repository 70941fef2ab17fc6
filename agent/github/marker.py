"""Notes to ourselves in what we write on GitHub: a comment that HTML doesn't show."""

from __future__ import annotations

import json
import re
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

_FOUND = re.compile(r"\A<!-- regreen (\{[^\n]{1,4000}\}) -->")


class Attempt(BaseModel):
    """One repair that was tried: what the limits count.

    Attributes:
        at: when.
        branch: whose tests failed.
        signature: of the failure; empty if nothing is known of it.
        status: how it ended; `lost` if it left no result.
        cost: dollars; of one that left no result, all that it had been allowed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: AwareDatetime
    branch: str = Field(max_length=300)
    signature: str = Field(default="", pattern=r"^[0-9a-f]*$")
    status: str = Field(max_length=40)
    cost: float = Field(default=0.0, ge=0, allow_inf_nan=False)


def write_marker(attempt: Attempt) -> str:
    """The comment, which nothing in it can end."""
    text = json.dumps(attempt.model_dump(mode="json"))
    for sign in "<>":  # they can only stand in a string
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f"<!-- regreen {text} -->"


def read_marker(body: str) -> Attempt | None:
    """What stands at the very beginning of a text of ours; `None` if that is no note.

    Only there: what comes behind it may quote a stranger.
    """
    found = _FOUND.match(body)
    try:
        return Attempt.model_validate_json(found[1]) if found else None
    except ValidationError:
        return None


def same_month(one: datetime, other: datetime) -> bool:
    """Whether two times are in one calendar month of the first one's time zone."""
    there = other.astimezone(one.tzinfo)
    return (one.year, one.month) == (there.year, there.month)
