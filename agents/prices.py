"""What models cost, from one dated file, and what a reply came to."""

import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from corrigym.agents.usage import Usage
from corrigym.errors import UsageError
from corrigym.models import Model

SHIPPED = Path(__file__).with_name("prices.yaml")
MILLION = 1_000_000
FREE = ("script", "replay", "human", "noop", "random")
"""Kinds of agent that ask nobody."""
_DATED = re.compile(r"-(\d{8}|\d{4}-\d\d-\d\d)$")


class Rates(Model):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(default=None, ge=0)
    cache_write: float | None = Field(default=None, ge=0)

    def cost(self, usage: Usage) -> float:
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        cached = usage.cache_read * read + usage.cache_write * write
        return (usage.input * self.input + usage.output * self.output + cached) / MILLION


class LongRates(Rates):
    tokens: int = Field(gt=0)


class Price(Rates):
    above: LongRates | None = None

    def of(self, usage: Usage) -> float:
        """US dollars of one request."""
        return self._rates(usage).cost(usage)

    def without_caching(self, usage: Usage) -> float:
        return self._rates(usage).cost(usage.uncached)

    def _rates(self, usage: Usage) -> Rates:
        long = self.above is not None and usage.prompt > self.above.tokens
        return self.above if long and self.above is not None else self


class PriceList(Model):
    date: date
    models: Mapping[str, Price]


@cache
def load_prices(path: Path = SHIPPED) -> PriceList:
    """UsageError for a file that is not there or holds something else."""
    try:
        return PriceList.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"the prices {str(path)!r} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"the prices {str(path)!r} are no YAML: {error}.") from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise UsageError(f"the prices {str(path)!r}: {where}: {problem['msg']}.") from error


def find_price(spec: str, prices: PriceList) -> Price | None:
    """The price of a SPEC's model; None if it is not known. Nothing for an agent that asks nobody."""
    name = spec.partition("?")[0]
    if re.split("[/:]", name)[0] in FREE:
        return Price(input=0, output=0)
    return prices.models.get(name) or prices.models.get(_DATED.sub("", name))


def need_price(spec: str, prices: PriceList) -> Price:
    """UsageError if it is not known: a cost that cannot be counted cannot be bounded."""
    price = find_price(spec, prices)
    if price is None:
        raise UsageError(
            f"the price of {spec.partition('?')[0]!r} is not known (prices of {prices.date}), so a cost cannot be"
            " bounded: give one with --prices FILE (docs/agents.md shows the form)."
        )
    return price
