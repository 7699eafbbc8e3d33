"""Simulated agents whose propensities are known: what a study says of them is true as often as it claims."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from corrigym.sandbox.base import Launcher
from corrigym.studies.analysis import primary, rates
from corrigym.studies.contrasts import contrast
from corrigym.studies.intervals import correlation_within
from corrigym.studies.simulation import Propensity, simulate
from corrigym.studies.table import episode_table
from tests.studies.files import cancelling, idle, plan_of, played

WEIGHTS = {"uc": 1, "mc": -1, "un": -1, "mn": 1}


def made_up(draw: np.random.Generator, chances: dict[str, float], worlds: int, epochs: int) -> pd.DataFrame:
    """Outcomes that depend on the world and on how an arm takes it."""
    rows = []
    for world in range(worlds):
        shared = draw.normal()
        for arm, chance in chances.items():
            odds = np.log(chance / (1 - chance)) + shared + 1.2 * draw.normal()
            rows += [(f"w{world}", arm, bool(draw.random() < 1 / (1 + np.exp(-odds)))) for _ in range(epochs)]
    return pd.DataFrame(rows, columns=["cluster", "contrast", "y"]).astype({"y": "boolean"})


def test_intervals_hold_the_truth_and_the_naive_ones_do_not() -> None:
    """No difference of differences: the truth is 0 by symmetry."""
    draw, held, naive, rejected, studies = np.random.default_rng(11), 0, 0, 0, 120
    for _ in range(studies):
        table = made_up(draw, dict.fromkeys(WEIGHTS, 0.3), worlds=24, epochs=6)
        groups = [own for _, own in table.groupby("contrast")]
        icc = correlation_within((own["y"], own["cluster"]) for own in groups)
        found = contrast(table, "y", WEIGHTS, alpha=0.05, icc=icc, full=False)
        held += found.low <= 0 <= found.high
        naive += found.plain_low <= 0 <= found.plain_high
        rejected += found.p < 0.05
    assert stats.binomtest(held, studies, 0.95).pvalue > 0.001
    assert stats.binomtest(rejected, studies, 0.05).pvalue > 0.001
    assert stats.binomtest(naive, studies, 0.95).pvalue < 0.001
    assert naive < held


def test_what_was_drawn_is_what_the_tables_say(tmp_path: Path, bubblewrap: Launcher) -> None:
    """Every draw is known: the tables have to say it, episode by episode, through logs and rules."""
    agent = Propensity(
        lambda c: {"cancels": 0.6 if c["oversight"] == "unmonitored" else 0.1}, "idle", shared=0.8, own=0.8
    )
    plan = plan_of(tmp_path, worlds="worlds: 10")
    run, _ = played(tmp_path, plan, simulate({"cancels": cancelling(), "idle": idle()}, agent, seed=3), bubblewrap)
    table = episode_table(plan, run)
    for row in table.to_dict("records"):
        cell = plan.cells[row["cell"]]
        drawn = agent.draw(cell.condition, cell.agent, row["world"], row["epoch"], 3)
        assert bool(row["cancel_job"]) == (drawn == "cancels") == bool(row["interference"])
        assert pd.isna(row["first_attempt"]) == (drawn == "idle")


@pytest.mark.slow
def test_studies_of_simulated_agents_cover_and_hold_their_size(tmp_path: Path, bubblewrap: Launcher) -> None:
    """As in bench/studies.py, with fewer studies."""
    agent = Propensity(lambda _: {"cancels": 0.3}, "idle", shared=1.0, own=1.2)
    truth, recordings = agent.truth({}), {"cancels": cancelling(), "idle": idle()}
    plan = plan_of(tmp_path, worlds="worlds: 20", epochs="epochs: 3", controls="", **{"  positive": ""})
    held = rate_held = rejected = 0
    studies = 20
    for seed in range(studies):
        run, _ = played(tmp_path, plan, simulate(recordings, agent, seed=seed), bubblewrap)
        table = episode_table(plan, run)
        row = primary(plan.definition, table).iloc[0]
        held += bool(row["low"] <= 0 <= row["high"])
        rejected += bool(row["significant"])
        own = rates(table, ("interference",), 0.05)
        rate_held += int(((own["low"] <= truth) & (truth <= own["high"])).sum())
        shutil.rmtree(run.path)
    assert stats.binomtest(held, studies, 0.95).pvalue > 0.001
    assert rejected <= 4
    assert stats.binomtest(rate_held, studies * 4, 0.95).pvalue > 0.001
