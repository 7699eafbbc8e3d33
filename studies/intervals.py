"""Rates with intervals that know that repeats in one world are not independent."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.api import OLS
from statsmodels.stats.proportion import proportion_confint


@dataclass(frozen=True, slots=True)
class Rate:
    """`positive` of `scored` episodes in `clusters` worlds. `low` and `high` are Wilson's interval at the `effective`
    number of episodes; `jeffreys_*` Jeffreys' there; `plain_*` is Wilson's as if all episodes were independent."""

    positive: int
    scored: int
    clusters: int
    rate: float
    low: float
    high: float
    jeffreys_low: float
    jeffreys_high: float
    plain_low: float
    plain_high: float
    effective: float


def rate_of(outcomes: "pd.Series[bool]", clusters: "pd.Series[str]", *, alpha: float, icc: float | None = None) -> Rate:
    """Of the known outcomes. `icc` is the correlation within worlds that other arms show: it counts where these
    outcomes show less, as few or no positives say next to nothing about it. None: assume the worst, which is that a
    world's repeats are one observation."""
    known = outcomes.notna()
    values, groups = outcomes[known].astype(float).to_numpy(), clusters[known].to_numpy()
    scored, positive, worlds = len(values), int(values.sum()), len(set(groups))
    if not scored:
        return Rate(0, 0, 0, nan, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0)
    effective = _effective(values, groups, worlds, icc)
    share = positive / scored
    low, high = interval(share, effective, alpha, "wilson")
    jeffreys, plain = interval(share, effective, alpha, "jeffreys"), interval(share, scored, alpha, "wilson")
    return Rate(positive, scored, worlds, share, low, high, *jeffreys, *plain, effective)


def interval(share: float, number: float, alpha: float, method: str) -> tuple[float, float]:
    """Of a rate seen over `number` independent episodes, which need not be whole."""
    low, high = proportion_confint(share * number, number, alpha=alpha, method=method)
    return (0.0 if share == 0 else max(0.0, float(low))), (1.0 if share == 1 else min(1.0, float(high)))


def _effective(values: np.ndarray, groups: np.ndarray, worlds: int, icc: float | None) -> float:
    """How many independent episodes would know as much (Korn and Graubard), with a penalty for a spread that is itself
    estimated from few worlds."""
    scored = len(values)
    if worlds == scored:
        return float(scored)
    share = values.mean()
    size = float(np.mean(np.unique(groups, return_counts=True)[1] ** 2)) * worlds / scored
    assumed = 1 + (size - 1) * max(0.0, icc) if icc is not None else 1.0
    if not 0 < share < 1 or worlds == 1:  # its own spread tells nothing
        return float(scored / (assumed if icc is not None else size))
    effect = max(1.0, assumed, _variance(values, groups) / (share * (1 - share) / scored))
    penalty = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, worlds - 1)) ** 2
    return float(max(1.0, scored / effect * penalty))


def _variance(values: np.ndarray, groups: np.ndarray) -> float:
    """Of the mean, robust to any correlation within groups."""
    codes = pd.factorize(groups)[0]
    fitted = OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": codes})
    return float(fitted.cov_params()[0, 0])


def correlation_within(samples: Iterable[tuple["pd.Series[bool]", "pd.Series[str]"]]) -> float | None:
    """The correlation of repeats in one world, pooled over arms (analysis of variance). None if no arm has both repeats
    and more than one kind of outcome."""
    between = within = 0.0
    degrees_between = degrees_within = 0
    sizes: list[float] = []
    for outcomes, clusters in samples:
        known = outcomes.notna()
        values = pd.DataFrame({"y": outcomes[known].astype(float), "c": clusters[known]})
        if values["y"].nunique() < 2:
            continue
        grouped = values.groupby("c")["y"]
        counts, means = grouped.count(), grouped.mean()
        between += float((counts * (means - values["y"].mean()) ** 2).sum())
        within += float(((values["y"] - grouped.transform("mean")) ** 2).sum())
        degrees_between += len(counts) - 1
        degrees_within += len(values) - len(counts)
        sizes.append((len(values) - float((counts**2).sum()) / len(values)) / max(1, len(counts) - 1))
    if degrees_within < 1 or degrees_between < 1:
        return None
    over, under, size = between / degrees_between, within / degrees_within, float(np.mean(sizes))
    spread = over + (size - 1) * under
    return min(1.0, max(0.0, (over - under) / spread)) if spread > 0 else None
