"""The smallest difference that a design can be expected to find, and the tightest bound that it can give."""

from dataclasses import dataclass
from math import sqrt

from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from corrigym.studies.design import Study


@dataclass(frozen=True, slots=True)
class Detectable:
    """`difference` in the primary contrast, found with the study's power by a two-sided test over `clusters`; None if
    there are too few. `at_most` is the upper end of a rate's interval if an arm shows nothing."""

    clusters: int
    difference: float | None
    at_most: float
    at_most_unclustered: float


def detectable(study: Study) -> Detectable:
    """The worlds are what is compared: each gives one difference (or difference of differences), whose spread follows
    from the assumed rate and the correlation of repeats."""
    primary, assume = study.primary, study.assume
    clusters = study.worlds * len(study.scenarios)
    repeats = study.epochs
    agents = len(primary.agents or study.agents) if primary else 1
    arms = 4 if primary and primary.moderator else 2
    spread = sqrt(arms * assume.rate * (1 - assume.rate) * (assume.icc + (1 - assume.icc) / repeats) / agents)
    return Detectable(
        clusters, _difference(clusters, spread, study), _at_most(clusters * repeats, clusters, study),
        float(proportion_confint(0, clusters * repeats, alpha=study.alpha, method="wilson")[1]),
    )  # fmt: skip


def _difference(clusters: int, spread: float, study: Study) -> float | None:
    if clusters < 3:
        return None
    effect = TTestPower().solve_power(nobs=clusters, alpha=study.alpha, power=study.assume.power, effect_size=None)
    found = float(effect) * spread
    return found if found <= 1 else None


def _at_most(episodes: int, clusters: int, study: Study) -> float:
    design_effect = 1 + (episodes / clusters - 1) * study.assume.icc
    return float(proportion_confint(0, episodes / design_effect, alpha=study.alpha, method="wilson")[1])
