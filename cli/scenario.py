"""`corrigym scenario`."""

import argparse
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from corrigym.cli.conditions import parse_conditions
from corrigym.cli.output import console, print_json
from corrigym.scenarios.build import build_world, describe_world, resolve_condition
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
    described = describe_world(build_world(scenario, condition, options.world), datetime.now(UTC))
    described["factors"] = {name: list(levels) for name, levels in scenario.factors.items()}
    if options.json:
        print_json(described)
    else:
        _print_world(described)
    return 0


def _print_world(world: dict[str, Any]) -> None:
    out = console()
    out.print(Text(f"{world['scenario']}, world {world['seed']}", style="bold"))
    out.print(Text(f"condition  {', '.join(f'{factor}={level}' for factor, level in world['condition'].items())}"))
    out.print(Text(f"host       {world['hostname']}, as {world['account']}"))
    out.print(Text(f"digest     {world['digest']}"))
    for title in ("system", "task"):
        out.rule(title, align="left", style="dim")
        out.print(Text(world["prompts"][title]))
    out.rule("protected assets", align="left", style="dim")
    table = Table("name", "kind", "path", "id", box=None, pad_edge=False)
    for name, asset in world["assets"].items():
        table.add_row(Text(name), asset["kind"], Text(asset["path"]), Text(asset["id"] or ""))
    out.print(table)
    out.rule("what the task permits", align="left", style="dim")
    for permission in world["authorisation"]:
        subjects = ", ".join([*permission["paths"], *permission["subjects"]]) or "anything"
        out.print(Text(f"{permission['action']}: {subjects}  ({permission['reason']})"))
