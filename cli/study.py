"""`corrigym study plan|lint|schema|run|resume`."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from corrigym.agents.prices import SHIPPED, Price, find_price, load_prices
from corrigym.cli.output import console, print_json
from corrigym.episodes.runs import DEFAULT_FOLDER, find_run
from corrigym.studies.forecast import Forecast, forecast
from corrigym.studies.lint import Remark
from corrigym.studies.lint import lint as remarks_on
from corrigym.studies.loading import load_study
from corrigym.studies.loading import schema as study_schema
from corrigym.studies.planning import StudyPlan, make_plan
from corrigym.studies.power import Detectable, detectable

AT_ONCE = 4


def plan(options: argparse.Namespace) -> int:
    made = make_plan(load_study(Path(options.file)))
    at_once = options.max_sandboxes or made.definition.run.max_sandboxes or AT_ONCE
    pilot = find_run(options.pilot, Path(options.log_dir or DEFAULT_FOLDER)) if options.pilot else None
    expected = forecast(made, prices_of(made, options.prices), at_once=at_once, pilot=pilot)
    power, remarks = detectable(made.definition), remarks_on(made)
    if options.json:
        print_json(_as_json(made, expected, power, remarks))
    else:
        _print_plan(made, expected, power, remarks, at_once)
    return 0


def lint(options: argparse.Namespace) -> int:
    """Errors end in an exception with their place; what is left are remarks."""
    remarks = remarks_on(make_plan(load_study(Path(options.file))))
    if options.json:
        print_json({"file": options.file, "remarks": [_remark_json(one) for one in remarks]})
        return 0
    for remark in remarks:
        print(_told(remark, options.file))
    print(f"{options.file}: {len(remarks)} remarks" if remarks else f"{options.file}: nothing to remark")
    return 0


def schema(_: argparse.Namespace) -> int:
    print_json(study_schema())
    return 0


def prices_of(made: StudyPlan, file: str | None) -> Mapping[str, Price | None]:
    listed = load_prices(Path(file) if file else SHIPPED)
    return {agent: find_price(agent, listed) for agent in {cell.agent for cell in made.cells}}


def _as_json(made: StudyPlan, expected: Forecast, power: Detectable, remarks: list[Remark]) -> dict[str, Any]:
    definition = made.definition
    return {
        "name": definition.name, "digest": made.digest, "worlds": definition.worlds, "epochs": definition.epochs,
        "cells": [
            {"scenario": cell.scenario, "agent": cell.agent, "condition": dict(cell.condition), "arm": cell.arm,
             "control": cell.control, "episodes": definition.worlds * definition.epochs}
            for cell in made.cells
        ],
        "episodes": len(made.episodes), "cost": expected.cost, "seconds": round(expected.seconds, 1),
        "agents": {name: {"seconds": rate.seconds, "cost": rate.cost, "measured": rate.measured}
                   for name, rate in expected.agents.items()},
        "clusters": power.clusters, "detectable": power.difference, "at_most_if_none": power.at_most,
        "primary": definition.primary.model_dump(mode="json") if definition.primary else None,
        "remarks": [_remark_json(one) for one in remarks],
    }  # fmt: skip


def _print_plan(made: StudyPlan, expected: Forecast, power: Detectable, remarks: list[Remark], at_once: int) -> None:
    definition, out = made.definition, console()
    out.print(Text(f"{definition.name}  {definition.question}".rstrip(), style="bold"))
    table = Table("scenario", "agent", "arm", "", "episodes", box=None, pad_edge=False)
    for cell in made.cells:
        kind = "control" if cell.control else ""
        table.add_row(
            *map(Text, (cell.scenario, cell.agent, cell.arm, kind, str(definition.worlds * definition.epochs)))
        )
    out.print(table)
    print(f"\nepisodes    {len(made.episodes):,} in {len(made.cells)} cells: {definition.worlds} worlds, the same in"
          f" each cell, x {definition.epochs} epochs")  # fmt: skip
    print(f"cost        {_cost(expected)}")
    print(f"time        {duration(expected.seconds)} with {at_once} at once")
    print(f"primary     {told_primary(made)}")
    least = "none: too few worlds" if power.difference is None else f"{100 * power.difference:.1f} percentage points"
    assume = definition.assume
    print(f"detectable  {least} ({assume.power:.0%} power, two-sided {definition.alpha:g}, {power.clusters} worlds;"
          f" assumed: rate {assume.rate:.0%}, correlation of repeats {assume.icc:g})")  # fmt: skip
    print(f"if none     an arm without a positive has a rate of at most {power.at_most:.1%}"
          f" ({power.at_most_unclustered:.1%} if repeats were independent)")  # fmt: skip
    print(f"digest      {made.digest}")
    for remark in remarks:
        print(_told(remark, str(made.study.document.file)))


def told_primary(made: StudyPlan) -> str:
    primary = made.definition.primary
    if primary is None:
        return "none is preregistered"
    one, other = primary.difference, primary.moderator
    told = f"{primary.outcome}: {one.factor} {one.level} - {one.against}"
    if other is not None:
        told = f"{primary.outcome}: ({one.level} - {one.against} | {other.level}) - (the same | {other.against})"
    return told + f", {', '.join(primary.agents or made.definition.agents)}"


def _cost(expected: Forecast) -> str:
    parts = []
    for agent, rate in expected.agents.items():
        price = "price not known" if rate.cost is None else f"${rate.cost:.4f}"
        basis = f"measured over {rate.measured}" if rate.measured else "assumed"
        parts.append(f"{agent} {price} and {rate.seconds:.1f} s an episode, {basis}")
    total = "not known" if expected.cost is None else f"${expected.cost:,.2f}"
    return f"{total}  ({'; '.join(parts)})"


def duration(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    return f"{hours:.1f} h" if hours >= 2 else f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"


def _told(remark: Remark, file: str) -> str:
    place = f"{file}:{remark.line}" if remark.line else file
    return f"{place}: {remark.rule}: {remark.message}"


def _remark_json(remark: Remark) -> dict[str, Any]:
    return {"rule": remark.rule, "message": remark.message, "line": remark.line}
