"""Differences between arms that were played in the same worlds, and differences of such differences."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import exp, inf, log, nan, sqrt

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.genmod.cov_struct import Independence
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_estimating_equations import GEE
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.weightstats import DescrStatsW

from corrigym.studies.intervals import Rate, rate_of

SPREAD = 8
"""So many worlds must differ before their spread is trusted to give an interval."""
RESAMPLES = 4_999
Weights = Mapping[str, int]
"""Arm -> +1 or -1: two arms are a difference, four a difference of differences."""


@dataclass(frozen=True, slots=True)
class Odds:
    """`method`: `gee`, logistic regression with errors robust in worlds, `haldane` if corrected for empty cells."""

    ratio: float = nan
    low: float = nan
    high: float = nan
    method: str = "unscored"


NO_ODDS = Odds()


@dataclass(frozen=True, slots=True)
class Contrast:
    """A weighted sum of the arms' rates. `low` and `high` are by `method`: `t` over worlds, or `mover` from the rates'
    own intervals where next to no world differs. `p` is of the sign-flip test over worlds. `plain_*` is what one gets
    who takes all episodes for independent. `odds` is the odds ratio, of four arms the ratio of odds ratios."""

    worlds: int
    episodes: int
    estimate: float = nan
    low: float = -inf
    high: float = inf
    method: str = "unscored"
    p: float = nan
    error: float = nan
    bootstrap_low: float = nan
    bootstrap_high: float = nan
    plain_low: float = nan
    plain_high: float = nan
    odds: Odds = NO_ODDS


def contrast(
    table: pd.DataFrame, outcome: str, weights: Weights, *, alpha: float, icc: float | None = None,
    full: bool = True,
) -> Contrast:  # fmt: skip
    """Of `table`'s column `outcome` between the levels of its column `contrast`, over its worlds (`cluster`). Only
    worlds that have a known outcome in every arm count: the pairing is what takes their differences out. Not `full`:
    without the bootstrap and the odds."""
    known = table[table[outcome].notna() & table["contrast"].isin(list(weights))]
    means = known.assign(value=known[outcome].astype(float)).pivot_table("value", "cluster", "contrast", "mean")
    paired = means.reindex(columns=list(weights)).dropna()
    used = known[known["cluster"].isin(paired.index)]
    if len(paired) < 2:
        return Contrast(len(paired), len(used))
    signs = np.array([weights[arm] for arm in paired.columns])
    differences = paired.to_numpy() @ signs
    estimate, spread = float(differences.mean()), DescrStatsW(differences)
    rates = {arm: _rate(used, outcome, arm, alpha, icc) for arm in weights}
    if np.count_nonzero(differences) >= SPREAD and float(np.ptp(differences)) > 0:
        (low, high), method = spread.tconfint_mean(alpha), "t"
    else:
        (low, high), method = _mover(estimate, rates, weights), "mover"
    boot = _bootstrap(differences, alpha) if full else (nan, nan)
    plain = _plain(rates, weights, alpha)
    ratio = _odds(used, outcome, rates, weights, alpha, float(spread.std_mean)) if full else NO_ODDS
    reach = float(np.abs(signs).sum()) / 2
    return Contrast(
        len(paired), len(used), estimate, max(-reach, float(low)), min(reach, float(high)), method,
        _sign_flip(differences), float(spread.std_mean), *boot, *plain, ratio,
    )  # fmt: skip


def flat(found: Contrast) -> dict[str, object]:
    """As columns of a table."""
    values = asdict(found)
    odds = values.pop("odds")
    return values | {"odds_ratio": odds["ratio"], **{f"odds_{key}": odds[key] for key in ("low", "high", "method")}}


def _rate(table: pd.DataFrame, outcome: str, arm: str, alpha: float, icc: float | None) -> Rate:
    own = table[table["contrast"] == arm]
    return rate_of(own[outcome], own["cluster"], alpha=alpha, icc=icc)


def _sign_flip(differences: np.ndarray) -> float:
    """Under the null each world's difference is as likely to have the other sign."""
    if not differences.any():
        return 1.0
    moved = differences[differences != 0]
    tested = stats.permutation_test(
        (moved,), lambda x, axis: np.sum(x, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=RESAMPLES, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(tested.pvalue)


def _bootstrap(differences: np.ndarray, alpha: float) -> tuple[float, float]:
    """Of whole worlds."""
    if float(np.ptp(differences)) == 0:
        return nan, nan
    found = stats.bootstrap(
        (differences,), np.mean, confidence_level=1 - alpha, n_resamples=RESAMPLES, method="percentile",
        rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _mover(estimate: float, rates: Mapping[str, Rate], weights: Weights) -> tuple[float, float]:
    """From each rate's own interval (method of variance estimates recovery): never of width 0, whatever was seen."""
    below = above = 0.0
    for arm, weight in weights.items():
        rate = rates[arm]
        down, up = rate.rate - rate.low, rate.high - rate.rate
        below += (down if weight > 0 else up) ** 2
        above += (up if weight > 0 else down) ** 2
    return estimate - sqrt(below), estimate + sqrt(above)


def _plain(rates: Mapping[str, Rate], weights: Weights, alpha: float) -> tuple[float, float]:
    """Wald's interval over episodes, as if they were independent."""
    estimate = sum(weight * rates[arm].rate for arm, weight in weights.items())
    variance = sum(rate.rate * (1 - rate.rate) / rate.scored for rate in rates.values())
    reach = float(stats.norm.ppf(1 - alpha / 2)) * sqrt(variance)
    return estimate - reach, estimate + reach


def _odds(
    used: pd.DataFrame, outcome: str, rates: Mapping[str, Rate], weights: Weights, alpha: float, clustered: float
) -> Odds:
    quantile = float(stats.norm.ppf(1 - alpha / 2))
    if clustered > 0 and all(0 < rate.positive < rate.scored for rate in rates.values()):
        estimate, error = _gee(used, outcome, weights)
        method = "gee"
    else:
        estimate, error = _corrected(rates, weights, clustered)
        method = "haldane"
    with np.errstate(over="ignore"):
        ends = [float(np.exp(estimate + sign * quantile * error)) for sign in (-1, 1)]
    return Odds(exp(estimate), ends[0], ends[1], method)


def _gee(used: pd.DataFrame, outcome: str, weights: Weights) -> tuple[float, float]:
    """Logistic regression on the arms with errors robust to any correlation within worlds."""
    arms = list(weights)
    design = np.column_stack([(used["contrast"] == arm).to_numpy(dtype=float) for arm in arms])
    groups = pd.factorize(used["cluster"])[0]
    order = np.argsort(groups, kind="stable")
    model = GEE(
        used[outcome].astype(float).to_numpy()[order], design[order], groups=groups[order], family=Binomial(),
        cov_struct=Independence(),
    )  # fmt: skip
    fitted = model.fit()
    signs = np.array([weights[arm] for arm in arms], dtype=float)
    return float(signs @ fitted.params), sqrt(float(signs @ fitted.cov_params() @ signs))


def _corrected(rates: Mapping[str, Rate], weights: Weights, clustered: float) -> tuple[float, float]:
    """With half an episode added everywhere, as an arm without positives (or negatives) has no odds; the error is
    widened by what clustering adds to that of the risk difference."""
    more = [rates[arm] for arm, weight in weights.items() if weight > 0]
    less = [rates[arm] for arm, weight in weights.items() if weight < 0]
    estimate = variance = 0.0
    for one, other in zip(more, less, strict=True):
        cells = [[one.positive, one.scored - one.positive], [other.positive, other.scored - other.positive]]
        found = Table2x2(np.array(cells, dtype=float) + 0.5, shift_zeros=False)
        estimate += log(float(found.oddsratio))
        variance += float(found.log_oddsratio_se) ** 2
    plain = sum(rate.rate * (1 - rate.rate) / rate.scored for rate in rates.values())
    return estimate, sqrt(variance * max(1.0, clustered**2 / plain if plain else 1.0))
