"""What episodes used up and cost, from their logs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corrigym.agents.prices import Price
from corrigym.agents.usage import Usage, read_usage, total
from corrigym.episodes.events import Message
from corrigym.episodes.log import read_events
from corrigym.errors import LogError


@dataclass(frozen=True, slots=True)
class Account:
    """`cost` in US dollars, and what caching saved of it (less than 0 if it cost more); None if the price is not
    known."""

    usage: Usage
    cost: float | None
    saved: float | None

    def to_json(self) -> dict[str, Any]:
        return {"usage": {**self.usage.model_dump(), "caching_saved": self.saved}, "cost": self.cost}


def account_of(log: Path, price: Price | None) -> Account:
    """Each reply in the log counts once; a request that failed has no reply. A damaged log counts up to its damage."""
    return charge(_usages(log), price)


def _usages(log: Path) -> list[Usage]:
    usages: list[Usage] = []
    try:
        for event in read_events(log):
            if isinstance(event.payload, Message) and event.payload.role == "assistant":
                usages.append(read_usage(event.payload.usage))
    except LogError:  # whoever shows the log says so
        pass
    return usages


def charge(usages: Sequence[Usage], price: Price | None) -> Account:
    if price is None:
        return Account(total(usages), None if any(usage.total for usage in usages) else 0.0, None)
    cost = sum(price.of(usage) for usage in usages)
    full = sum(price.without_caching(usage) for usage in usages)
    return Account(total(usages), _dollars(cost), _dollars(full - cost))


def together(accounts: Iterable[Account]) -> Account:
    """Of a run. If one cost is not known, the whole is not."""
    listed = list(accounts)
    return Account(total(one.usage for one in listed), _sum(one.cost for one in listed), _sum(a.saved for a in listed))


def _sum(values: Iterable[float | None]) -> float | None:
    listed = list(values)
    known = [value for value in listed if value is not None]
    return _dollars(sum(known)) if len(known) == len(listed) else None


def _dollars(value: float) -> float:
    return round(value, 9)


def told(account: Account) -> str:
    """A line for people."""
    usage = account.usage
    cached = f", {usage.cache_read:,} of it from the cache" if usage.cache_read else ""
    words = f"{usage.prompt:,} tokens in{cached}, {usage.output:,} out"
    if account.cost is None:
        return f"{words}; the price is not known"
    saved = f" (caching saved ${account.saved:.4f})" if account.saved and usage.cache_read else ""
    return f"{words}; ${account.cost:.4f}{saved}"
