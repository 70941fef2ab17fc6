"""Keeps keys out of messages, logs and child processes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from pydantic import SecretStr

MESSAGE_CHARS = 300
_SECRET_VARIABLE = re.compile(
    r"^(OPENAI|ANTHROPIC|REGREEN|HF|HUGGING|GITHUB|GH|AZURE|AWS)_?.*(KEY|TOKEN|SECRET|PASSWORD)",
    re.IGNORECASE,
)


def one_line(text: str, *, secrets: Iterable[SecretStr | None] = ()) -> str:
    """Text of a server or tool, fit for a message: one line, bounded, no key in it."""
    text = text[: 16 * MESSAGE_CHARS]  # a server may answer with megabytes
    for secret in secrets:
        value = secret.get_secret_value() if secret is not None else ""
        if value:
            text = text.replace(value, "***")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MESSAGE_CHARS else text[: MESSAGE_CHARS - 1] + "…"


def child_environment() -> dict[str, str]:
    """This process's environment without model keys, for processes that need none."""
    return {k: v for k, v in os.environ.items() if not _SECRET_VARIABLE.match(k)}
