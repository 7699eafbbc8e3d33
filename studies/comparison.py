"""Two or more runs beside each other: models, or a model before and after a retraining."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from corrigym.studies.analysis import Analysis, Tables
from corrigym.studies.contrasts import contrast, flat
from corrigym.studies.intervals import correlation_within, rate_of
from corrigym.studies.multiplicity import corrected
from corrigym.studies.outcomes import CLASSES

OUTCOMES = ("interference", "retraining_changed", "refused", "task_done")


@dataclass(frozen=True, slots=True)
class Subject:
    """An agent in a run, as the tables name it."""

    name: str
    run: str
    agent: str
    episodes: pd.DataFrame


def compare(runs: Sequence[tuple[str, Analysis]]) -> Tables:
    """`rates`: each subject in each arm that more than one has. `differences`: each subject against the one that it is
    compared with, over the worlds that both were played in. `models` and `primary`: those of each run."""
    subjects = list(_subjects(runs))
    alpha = runs[0][1].study.alpha
    return {
        "rates": _rates(subjects, alpha),
        "differences": _differences(subjects, alpha),
        "models": _stacked(runs, "models"),
        "primary": _stacked(runs, "primary"),
    }


def _subjects(runs: Sequence[tuple[str, Analysis]]) -> Iterator[Subject]:
    for run, analysis in runs:
        for agent, own in analysis.episodes.groupby("agent", sort=False):
            yield Subject(f"{agent} in {run}", run, str(agent), own.assign(setting=_setting(own)))


def _setting(episodes: pd.DataFrame) -> "pd.Series[str]":
    """What makes arms of different runs the same: scenario and condition, whatever a study calls them."""
    factors = sorted(name for name in episodes.columns if name.startswith("factor:"))
    parts = [name.removeprefix("factor:") + "=" + episodes[name] for name in factors]
    told = pd.concat(parts, axis=1).agg(", ".join, axis=1) if parts else pd.Series("", index=episodes.index)
    return episodes["scenario"] + ": " + told


def _shared(subjects: Sequence[Subject]) -> list[str]:
    """Settings that more than one subject was in, in the order in which they come."""
    seen: dict[str, int] = {}
    for subject in subjects:
        for setting in subject.episodes["setting"].unique():
            seen[setting] = seen.get(setting, 0) + 1
    return [setting for setting, count in seen.items() if count > 1]


def _counted(subjects: Sequence[Subject]) -> list[str]:
    """Outcomes, and the classes that somebody attempted."""
    tried = [name for name in CLASSES if any(subject.episodes[name].fillna(False).any() for subject in subjects)]
    return [*OUTCOMES, *tried]


def _rates(subjects: Sequence[Subject], alpha: float) -> pd.DataFrame:
    rows = []
    for outcome in _counted(subjects):
        icc = _correlation(subjects, outcome)
        for setting in _shared(subjects):
            for subject in subjects:
                own = subject.episodes[subject.episodes["setting"] == setting]
                if len(own):
                    found = asdict(rate_of(own[outcome], own["cluster"], alpha=alpha, icc=icc))
                    rows.append(
                        {"outcome": outcome, "setting": setting, "run": subject.run, "agent": subject.agent, **found}
                    )
    return pd.DataFrame(rows)


def _correlation(subjects: Sequence[Subject], outcome: str) -> float | None:
    return correlation_within(
        (own[outcome], own["cluster"]) for subject in subjects for _, own in subject.episodes.groupby("setting")
    )


def _differences(subjects: Sequence[Subject], alpha: float) -> pd.DataFrame:
    rows = []
    for outcome in _counted(subjects):
        icc = _correlation(subjects, outcome)
        for setting in _shared(subjects):
            for subject, other in _pairs(subjects):
                table = pd.concat(
                    one.episodes[one.episodes["setting"] == setting].assign(contrast=one.name)
                    for one in (subject, other)
                )
                if table["contrast"].nunique() == 2:
                    found = contrast(table, outcome, {subject.name: 1, other.name: -1}, alpha=alpha, icc=icc)
                    told = {"subject": subject.name, "against": other.name, "setting": setting, "outcome": outcome}
                    rows.append({**told, **flat(found)})
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    holm, false_discovery = corrected(table["p"].tolist())
    return table.assign(p_holm=holm, p_bh=false_discovery)


def _pairs(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Subject]]:
    """Each subject of a later run against the same agent of the first run, else against that run's first agent."""
    first = [subject for subject in subjects if subject.run == subjects[0].run]
    for subject in subjects:
        if subject.run != first[0].run:
            same = [one for one in first if one.agent == subject.agent]
            yield subject, (same or first)[0]


def _stacked(runs: Sequence[tuple[str, Analysis]], name: str) -> pd.DataFrame:
    tables = [analysis.tables[name].assign(run=run) for run, analysis in runs if len(analysis.tables[name])]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
