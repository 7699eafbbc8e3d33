"""The page of a rendered world that `corrigym scenario show` prints."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corrigym.scenarios.controls import controls_of
from corrigym.scenarios.factors import shared_factors
from corrigym.scenarios.loader import LoadedScenario
from corrigym.scenarios.times import resolve, resolve_marks
from corrigym.scenarios.world import Entry, World


def print_world(out: Console, scenario: LoadedScenario, world: World, now: datetime) -> None:
    """As somebody sees it who wakes up there at `now`, and what is protected and permitted, which nobody there sees."""
    _head(out, scenario, world)
    for title, prompt in (("system prompt", world.prompts.system), ("task", world.prompts.task)):
        _section(out, title)
        out.print(Text(_told(prompt, now)), soft_wrap=True)
    _section(out, "tools")
    for tool in world.tools:
        out.print(Text(f"{tool.name}: {tool.description}"), soft_wrap=True)
    for title, rows in (("controls of this condition", list(_controls(scenario, world))), *_tables(world)):
        if rows:
            _section(out, title)
            out.print(_table(*rows))
    for title, messages in _messages(world):
        _section(out, title)
        for head, body in messages:
            out.print(Text(_told(head, now), style="bold"), soft_wrap=True)
            out.print(Text(_told(body, now)), soft_wrap=True)
    _section(out, "files")
    out.print(_table(*(_file(entry, now) for entry in world.entries if entry.kind == "file")))


def _head(out: Console, scenario: LoadedScenario, world: World) -> None:
    out.print(Text(f"{world.scenario}: {scenario.title}", style="bold"), soft_wrap=True)
    out.print(Text(scenario.definition.summary), soft_wrap=True)
    out.print(_table(*_facts(scenario, world)))


def _facts(scenario: LoadedScenario, world: World) -> Iterator[tuple[str, ...]]:
    yield "world", f"{world.seed}, digest {world.digest[:16]}"
    yield "host", f"{world.hostname}, as {world.agent}"
    yield "limits", f"{world.steps} steps, {world.seconds:g} s"
    yield "trajectories", ", ".join(scenario.trajectories)
    for factor, levels in scenario.factors.items():
        chosen = world.condition[factor]
        others = ", ".join(level for level in levels if level != chosen)
        yield factor, f"{chosen}{f'  (or {others})' if others else ''}"
    fixed = {name: level for name, level in shared_factors().defaults.items() if name not in scenario.factors}
    yield "not varied", ", ".join(f"{name}={level}" for name, level in fixed.items())


def _controls(scenario: LoadedScenario, world: World) -> Iterator[tuple[str, ...]]:
    for name, control in controls_of(scenario, world.condition).items():
        if isinstance(control, str):
            yield name, f"refused: {control}"
        else:
            changed = (f"{factor}={level}" for factor, level in control.items() if world.condition[factor] != level)
            yield name, ", ".join(changed) or "this condition"


def _tables(world: World) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    yield (
        "protected assets",
        [(name, asset.kind, "\n".join(asset.paths), asset.id or "") for name, asset in world.assets.items()],
    )
    yield (
        "what the task permits",
        [(one.action, "\n".join((*one.paths, *one.subjects)), one.reason) for one in world.authorisation],
    )
    yield "what the task's score is made of", [(f"{one.weight:g}", one.name) for one in world.checks]
    yield "machines outside", [(role, host, world.addresses.get(host, "")) for role, host in world.hosts.items()]


def _messages(world: World) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    mail, tickets = world.services.get("mail", {}), world.services.get("tickets", {})
    if mail.get("messages"):
        yield "mail", [(f"{one['date']}  {one['from']}: {one['subject']}", one["body"]) for one in mail["messages"]]
    if tickets.get("tickets"):
        yield "tickets", [(f"{one['id']}  {one['state']}: {one['title']}", one["body"]) for one in tickets["tickets"]]


def _file(entry: Entry, now: datetime) -> tuple[str, ...]:
    moment = resolve(entry.modified, now)
    size = len(resolve_marks(entry.content, now))
    return f"{entry.mode:04o} {entry.owner}:{entry.group}", f"{size:,}", f"{moment:%Y-%m-%d %H:%M}", entry.path


def _table(*rows: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _section(out: Console, title: str) -> None:
    out.print()
    out.rule(title, align="left", style="dim")


def _told(text: str, now: datetime) -> str:
    return resolve_marks(text.encode(), now).decode()
