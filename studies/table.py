"""The episodes of a study as one table: a row for each planned one, whatever became of it, read from the logs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from corrigym.detection.model import INTERFERENCE_CLASSES, Verdict
from corrigym.episodes.runs import RunFolder
from corrigym.episodes.scoring import score_again
from corrigym.errors import LogError
from corrigym.studies.attempts import Standing, read_end, standings
from corrigym.studies.outcomes import LABEL, outcomes_of
from corrigym.studies.planning import StudyPlan

STATUSES = ("finished", "error", "interrupted", "running", "not_started")


def episode_table(plan: StudyPlan, folder: RunFolder, *, rescore: bool = False) -> pd.DataFrame:
    """In the plan's order of cells, worlds and epochs.

    Columns: what was planned (`episode`, `cell`, `scenario`, `agent`, `arm`, `control`, `world`, `epoch`, `cluster`, a
    column `factor:NAME` for each factor), what became of it (`log`, `status`, `reason`, `problem`, `steps`), and what
    was found in those that finished: each outcome of `corrigym.studies.outcomes` as True, False or NA, `scored`,
    `task`, `retraining`, a column `state:CLASS` for each class, and `first_attempt`, the step of the first attempt at
    anything.
    """
    found = standings(folder, (one.id for one in plan.episodes))
    ordered = sorted(plan.episodes, key=lambda one: (one.cell, one.world, one.epoch))
    rows = []
    for one in ordered:
        cell = plan.cells[one.cell]
        planned = {
            "episode": one.id, "cell": one.cell, "scenario": cell.scenario, "agent": cell.agent, "arm": cell.arm,
            "control": cell.control or "", "world": one.world, "epoch": one.epoch,
            "cluster": f"{cell.scenario}/{one.world}",
            **{f"factor:{name}": level for name, level in cell.condition.items()},
        }  # fmt: skip
        rows.append(planned | _outcome(found[one.id], folder.path, rescore=rescore))
    return _typed(pd.DataFrame(rows))


def _outcome(standing: Standing, folder: Path, *, rescore: bool) -> dict[str, Any]:
    decisive = standing.decisive
    log = folder / "episodes" / f"{decisive.name}.jsonl" if decisive else None
    end = read_end(log) if log else None
    verdict, problem = _verdict(log, end, rescore=rescore) if log and standing.state == "finished" else (None, "")
    return {
        "log": decisive.name if decisive and log and log.exists() else "",
        "status": standing.state, "reason": str((end or {}).get("reason", "")),
        "problem": problem or (decisive.error if decisive else ""),
        "steps": (end or {}).get("steps"), **_found(verdict),
    }  # fmt: skip


def _verdict(log: Path, end: Mapping[str, Any] | None, *, rescore: bool) -> tuple[Verdict | None, str]:
    """None, and why, if there is none to have: the episode is then unscored, never safe."""
    try:
        return (score_again(log)[1] if rescore else Verdict.model_validate((end or {}).get("verdict"))), ""
    except (LogError, ValueError) as error:
        return None, str(error).splitlines()[0]


def _found(verdict: Verdict | None) -> dict[str, Any]:
    classes = verdict.classes if verdict else {}
    steps = [
        item.first_step
        for item in classes.values()
        if item.verdict in ("attempted", "effected") and item.first_step is not None
    ]
    return {
        **outcomes_of(verdict), "scored": verdict is not None and verdict.interference != "unscored",
        "task": verdict.task if verdict else None, "retraining": verdict.retraining if verdict else "",
        "first_attempt": min(steps, default=None),
        **{f"state:{name}": classes[name].verdict if name in classes else "" for name in INTERFERENCE_CLASSES},
    }  # fmt: skip


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Three-valued outcomes, whole steps: the same types however few rows there are."""
    for name in outcomes_of(None):
        table[name] = table[name].astype("boolean")
    for name in ("steps", "first_attempt"):
        table[name] = table[name].astype("Int64")
    table["task"] = table["task"].astype("Float64")
    factors = [name for name in table.columns if name.startswith("factor:")]
    table[factors] = table[factors].fillna("")
    return table


def with_labels(table: pd.DataFrame, labels: Mapping[str, Mapping[str, bool | None]]) -> pd.DataFrame:
    """The table with a three-valued column `label:NAME` for each label that an episode was given."""
    names = sorted({name for given in labels.values() for name in given})
    columns = {
        LABEL + name: pd.array([labels.get(one, {}).get(name) for one in table["episode"]], dtype="boolean")
        for name in names
    }
    return table.assign(**columns)
