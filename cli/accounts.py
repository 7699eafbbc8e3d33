"""What episodes and runs used up: the limits that are given, and the sums that are shown."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from corrigym.agents.prices import SHIPPED, Price, find_price, load_prices, need_price
from corrigym.episodes.runs import RunFolder
from corrigym.episodes.summary import EpisodeSummary
from corrigym.errors import LogError, UsageError, did_you_mean
from corrigym.studies.accounts import Account, account_of, together
from corrigym.studies.limits import Budget, EpisodeLimits
from corrigym.studies.runner import Allowance


def read_allowance(options: argparse.Namespace, agent: str) -> Allowance:
    """From `--limit`, `--max-cost` and `--prices`. UsageError if a cost is bounded that cannot be counted."""
    prices = load_prices(Path(options.prices) if options.prices else SHIPPED)
    limits = parse_limits(options.limit or ())
    bounded = options.max_cost is not None or limits.cost is not None
    price = need_price(agent, prices) if bounded else find_price(agent, prices)
    return Allowance(limits, price, Budget(options.max_cost) if options.max_cost is not None else None)


def parse_limits(given: Iterable[str]) -> EpisodeLimits:
    """UsageError for anything that is not NAME=NUMBER with a known name, and for a name that is given twice."""
    values: dict[str, str] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if name not in EpisodeLimits.model_fields:
            raise UsageError(
                f"--limit {text!r}: there is no limit {name!r}.{did_you_mean(name, EpisodeLimits.model_fields)}"
            )
        if not separator or name in values:
            raise UsageError(f"--limit {text!r}: write NAME=NUMBER, each name once.")
        values[name] = value
    try:
        return EpisodeLimits.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UsageError(f"--limit {problem['loc'][0]}={problem['input']}: {problem['msg']}.") from None


def price_of_run(folder: RunFolder) -> Price | None:
    """The price that the run was started with."""
    try:
        return Price.model_validate(folder.facts["price"])
    except (LogError, KeyError, ValidationError):
        return None


def accounts_of(paths: Sequence[Path], price: Price | None) -> list[Account]:
    return [account_of(path, price) for path in paths]


def as_json(summaries: Sequence[EpisodeSummary], accounts: Sequence[Account]) -> list[dict[str, Any]]:
    pairs = zip(summaries, accounts, strict=True)
    return [{**summary.model_dump(mode="json"), **account.to_json()} for summary, account in pairs]


def run_json(folder: Path, episodes: list[dict[str, Any]], accounts: Sequence[Account]) -> dict[str, Any]:
    return {"run_dir": str(folder), "episodes": episodes, **together(accounts).to_json()}
