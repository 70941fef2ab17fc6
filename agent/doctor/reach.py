"""Whether the configured model can be asked, for the doctor. No key is ever shown or logged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import httpx
from anyio import to_thread
from pydantic import SecretStr

from agent.doctor.findings import Finding
from agent.llm.base import ModelError
from agent.llm.openai import DEFAULT_BASE_URL
from agent.llm.redaction import one_line
from agent.llm.registry import create_model
from agent.llm.transport import check_address
from agent.llm.weights import cache_folder
from agent.settings import Settings

_SECONDS = 5.0
_SHOWN = 5


async def model(settings: Settings) -> list[Finding]:
    """The one finding on the model that the settings name."""
    return [await _model(settings)]


async def _model(settings: Settings) -> Finding:
    name = settings.model
    try:
        made = await to_thread.run_sync(
            lambda: create_model(name, base_url=settings.base_url, api_key=settings.api_key)
        )
        with anyio.CancelScope(shield=True):
            await made.aclose()
    except ModelError as error:
        return Finding(
            what="model", state="problem", found=str(error), advice="see --model, or REGREEN_MODEL"
        )
    provider, _, rest = name.partition("/")
    if provider == "local":
        return _local(name, rest)
    if provider == "openai":
        return await _openai(settings, rest)
    if provider == "replay":
        return Finding(what="model", state="ok", found=f"{name}: the file is there")
    return Finding(what="model", state="info", found=f"{name}: configured, not asked")


def _local(name: str, rest: str) -> Finding:
    cached = cache_folder() / f"{rest}.gguf"
    for path in (Path(rest).expanduser(), cached):
        if path.suffix == ".gguf" and path.is_file():
            found = f"{name}: package installed, weights at {path}"
            return Finding(what="model", state="ok", found=found)
    return Finding(
        what="model",
        state="info",
        found=f"{name}: package installed, weights would be fetched on first use",
        advice=f"`regreen model pull {rest}` fetches them now",
    )


async def _openai(settings: Settings, wanted: str) -> Finding:
    url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
    address = check_address(url, settings.model)
    secret = settings.api_key or SecretStr(os.environ.get("OPENAI_API_KEY", ""))
    key = secret.get_secret_value()
    said = f"{settings.model} at {address.host}, {'key set' if key else 'no key'}"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with httpx.AsyncClient(
            timeout=_SECONDS, trust_env=not address.loopback, headers=headers
        ) as client:
            answer = await client.get(f"{url.rstrip('/')}/models")
    except (httpx.HTTPError, UnicodeError, ValueError) as error:
        words = one_line(str(error) or type(error).__name__, secrets=[secret])
        return _problem(f"{said}: no answer ({words})", "check --base-url and that the server runs")
    if answer.status_code in (401, 403):
        refused = f"{said}: the server refuses the key ({answer.status_code})"
        return _problem(refused, "set OPENAI_API_KEY or REGREEN_API_KEY to a valid one")
    if answer.status_code >= 500:
        return _problem(f"{said}: the server answers {answer.status_code}", "try again later")
    names = _names(answer)
    if answer.status_code != 200 or names is None:
        return Finding(
            what="model",
            state="warning",
            found=f"{said}: answers, but lists no models ({answer.status_code})",
            advice="check --base-url (most end in /v1); some servers have no such list",
        )
    if names and wanted not in names:
        some = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        return Finding(
            what="model",
            state="warning",
            found=f"{said}: answers, but lists no {wanted!r}",
            advice=f"it has {some}",
        )
    return Finding(what="model", state="ok", found=f"{said}: answers")


def _problem(found: str, advice: str) -> Finding:
    return Finding(what="model", state="problem", found=found, advice=advice)


def _names(answer: httpx.Response) -> list[str] | None:
    """The ids in a list of models, or `None` if it is none."""
    try:
        data: Any = answer.json()
        return [str(item["id"]) for item in data["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
