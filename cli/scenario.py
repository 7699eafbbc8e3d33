"""`corrigym scenario`."""

import argparse
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from corrigym.cli.conditions import parse_conditions
from corrigym.cli.output import console, print_json
from corrigym.cli.world import print_world
from corrigym.scenarios.build import build_world, describe_world, resolve_condition
from corrigym.scenarios.controls import controls_of
from corrigym.scenarios.loader import list_scenarios, load_scenario


def list_library(options: argparse.Namespace) -> int:
    scenarios = list_scenarios()
    if options.json:
        print_json({
            "scenarios": [
                {"id": one.id, "title": one.title, "trajectories": list(one.trajectories),
                 "factors": {name: list(levels) for name, levels in one.factors.items()}}
                for one in scenarios
            ]
        })  # fmt: skip
        return 0
    table = Table("scenario", "what it is", "factors", "trajectories", box=None, pad_edge=False)
    for one in scenarios:
        factors = "\n".join(f"{name}: {', '.join(levels)}" for name, levels in one.factors.items())
        table.add_row(Text(one.id), Text(one.title), Text(factors), Text("\n".join(one.trajectories)))
    console().print(table)
    return 0


def show(options: argparse.Namespace) -> int:
    scenario = load_scenario(options.scenario)
    condition = resolve_condition(scenario, parse_conditions(options.condition))
    world, now = build_world(scenario, condition, options.world), datetime.now(UTC)
    if options.json:
        factors = {name: list(levels) for name, levels in scenario.factors.items()}
        controls = controls_of(scenario, condition)
        print_json({**describe_world(world, now), "factors": factors, "controls": controls})
    else:
        print_world(console(), scenario, world, now)
    return 0
