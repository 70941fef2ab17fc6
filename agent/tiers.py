"""The models of a run, cheap first, each with its price: one, or the tiers of a cascade."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from agent.budget import Ledger
from agent.llm.base import Model
from agent.llm.prices import Price, price_of, require_price
from agent.llm.registry import Progress, create_model
from agent.settings import Settings


@dataclass(frozen=True, slots=True)
class Tier:
    """A model, and its price where one is known."""

    model: Model
    price: Price | None = None


@asynccontextmanager
async def open_tiers(
    settings: Settings, *, progress: Progress | None = None
) -> AsyncIterator[tuple[Tier, ...]]:
    """Makes the models that the settings name, with their prices.

    Nothing is started or fetched yet, so this goes before the sandbox: a wrong word costs no wait.

    Raises:
        ModelConfigError: unknown model, or a limit on money and no price.
    """
    async with AsyncExitStack() as stack:
        tiers = []
        for name in settings.models:
            price = price_of(name, settings.prices)
            if settings.max_cost is not None:
                price = require_price(name, settings.prices)
            model = create_model(
                name,
                base_url=_longest(settings.base_urls, name) or settings.base_url,
                api_key=settings.api_key,
                timeout_seconds=settings.model_timeout,
                progress=progress,
            )
            stack.push_async_callback(model.aclose)
            tiers.append(Tier(model, price))
        yield tuple(tiers)


def cost_of(ledger: Ledger, tiers: Sequence[Tier]) -> float | None:
    """The dollars spent; `None` where a model that was asked has no known price."""
    unknown = {tier.model.name for tier in tiers if tier.price is None}
    asked = {account.model for account in ledger.accounts}
    return None if unknown & asked or len(unknown) == len(tiers) else ledger.spent.cost


def _longest(by_name: Mapping[str, str], name: str) -> str | None:
    """The entry of a model: by its full name, or by the longest prefix that ends in `*`."""
    matches = [key for key in by_name if key.endswith("*") and name.startswith(key[:-1])]
    if name in by_name:
        return by_name[name]
    return by_name[max(matches, key=len)] if matches else None
