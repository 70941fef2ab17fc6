"""What the doctor finds, one line each."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

State = Literal["ok", "warning", "problem", "info"]


class Finding(BaseModel):
    """One line of an examination.

    Attributes:
        what: was looked at, e.g. `sandbox docker`.
        state: `ok`; `warning`: works, but less than it should; `problem`: doesn't work;
            `info`: neither good nor bad.
        found: what is there. Never holds a key.
        advice: what to do; empty where nothing is to be done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    state: State
    found: str
    advice: str = ""
