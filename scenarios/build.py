"""(scenario, condition, world seed) -> World: pure, and the same in every process and on every machine."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from corrigym.errors import ConditionError, did_you_mean
from corrigym.scenarios import schema
from corrigym.scenarios.draw import Draw
from corrigym.scenarios.factors import holds, one_at_a_time, reason_against, shared_factors
from corrigym.scenarios.intervention import INTERVENTION, parse_intervention
from corrigym.scenarios.loader import LoadedScenario, is_file_name, read_template
from corrigym.scenarios.names import outside_hosts, world_names
from corrigym.scenarios.stack.options import Stack
from corrigym.scenarios.stack.parts import compose
from corrigym.scenarios.stack.site import Parcel, Site
from corrigym.scenarios.stack.weights import snapshot_paths
from corrigym.scenarios.system_files import system_files
from corrigym.scenarios.templates import TemplateFault, render, render_at
from corrigym.scenarios.times import resolve_marks
from corrigym.scenarios.trajectories import template_names
from corrigym.scenarios.wording import permitted, shared_files, told_names, wording
from corrigym.scenarios.world import Account, Asset, Check, Entry, Permission, Prompts, Tool, World
from corrigym.scenarios.yamlfile import Keys

__all__ = ["build_world", "conditions_of", "describe_world", "makes_sense", "resolve_condition", "template_names"]

ROOTS = ("/home", "/srv", "/opt", "/var/log", "/var/spool", "/tmp", "/etc", "/usr/local")
"""Where a world may have files."""


def resolve_condition(scenario: LoadedScenario, given: Mapping[str, str]) -> dict[str, str]:
    """A level for every factor of the scenario, the first where none is given, and for `intervention` if it is given.
    ConditionError for what the scenario does not have, and for levels that make no sense together, with the reason."""
    for factor, level in given.items():
        if factor == INTERVENTION:
            parse_intervention(level)
            continue
        if factor not in scenario.factors:
            raise ConditionError(f"{scenario.id} has no factor {factor!r}.{did_you_mean(factor, scenario.factors)}")
        if level not in scenario.factors[factor]:
            known = did_you_mean(str(level), scenario.factors[factor])
            raise ConditionError(f"factor {factor!r} has no level {level!r}.{known}")
    condition = {factor: given.get(factor, levels[0]) for factor, levels in scenario.factors.items()}
    if INTERVENTION in given:
        condition[INTERVENTION] = given[INTERVENTION]
    if reason := reason_against(scenario.definition.excludes, condition):
        raise ConditionError(f"{scenario.id} refuses {reason}")
    return condition


def makes_sense(scenario: LoadedScenario, condition: Mapping[str, str]) -> bool:
    return reason_against(scenario.definition.excludes, condition) is None


def conditions_of(scenario: LoadedScenario) -> list[dict[str, str]]:
    """The default condition, and every other level once, in the condition that differs least from the default."""
    return one_at_a_time(scenario.factors, lambda condition: makes_sense(scenario, condition))


def build_world(scenario: LoadedScenario, condition: Mapping[str, str], seed: int) -> World:
    """The world of this seed in this condition. ConditionError as `resolve_condition`; ScenarioError if the scenario's
    texts name what the world does not have, or its files lie where a host cannot take them."""
    return _Builder(scenario, resolve_condition(scenario, condition), seed).world()


def describe_world(world: World, now: datetime) -> dict[str, Any]:
    """The world as it is seen at `now`, for people and `--json`: prompts, tools, assets, what is authorised."""

    def text(marked: str) -> str:
        return resolve_marks(marked.encode(), now).decode()

    return {
        "scenario": world.scenario,
        "condition": dict(world.condition),
        "seed": world.seed,
        "digest": world.digest,
        "hostname": world.hostname,
        "account": world.agent,
        "prompts": {"system": text(world.prompts.system), "task": text(world.prompts.task)},
        "tools": [tool.model_dump(mode="json") for tool in world.tools],
        "assets": {name: asset.model_dump(mode="json") for name, asset in world.assets.items()},
        "hosts": dict(world.hosts),
        "addresses": dict(world.addresses),
        "authorisation": [permission.model_dump(mode="json") for permission in world.authorisation],
        "checks": [check.model_dump(mode="json") for check in world.checks],
        "limits": {"steps": world.steps, "seconds": world.seconds},
        "files": len([entry for entry in world.entries if entry.kind == "file"]),
    }


class _Builder:
    """One build. `names` grows from the drawn names to all that templates can name."""

    def __init__(self, scenario: LoadedScenario, condition: Mapping[str, str], seed: int) -> None:
        self.scenario, self.condition, self.seed = scenario, condition, seed
        self.definition, self.draw = scenario.definition, Draw(scenario.id, seed)
        self.hosts, self.addresses = outside_hosts(self.draw)
        self.levels = {**shared_factors().defaults, **condition}
        self.parts = [name for name, options in self._stack().items() if options is not None]
        own = {name: self._own_name(name, choice) for name, choice in self.definition.names.items()}
        self.names: dict[str, Any] = {**told_names(self.draw, self.levels), **own}
        self.names["role"] = self._rendered(self.definition.role, ("role",))
        self.names["factors"] = wording(self.context, self.levels)

    def world(self) -> World:
        site = Site(self.draw, self.names, self.condition)
        stack = Stack.model_validate(self._rendered(self._stack(), ("stack",)))
        if stack.weights is not None:
            self.names["snapshots"] = snapshot_paths(site, stack.weights)
        parcel = compose(site, stack)
        assets = {**parcel.assets, **self._own_assets()}
        context = {**self.context, "assets": {name: asset.model_dump() for name, asset in assets.items()}}
        return self._finish(parcel, assets, context)

    def _finish(self, parcel: Parcel, assets: Mapping[str, Asset], context: Mapping[str, Any]) -> World:
        accounts = self._accounts()
        entries = [*shared_files(context), *parcel.entries, *self._own_files(context)]
        world = World(
            scenario=self.scenario.id,
            condition=self.condition,
            seed=self.seed,
            hostname=self.names["hostname"],
            agent=self.names["account"],
            accounts=accounts,
            entries=tuple(entries),
            services=parcel.services,
            assets=assets,
            hosts=self.hosts,
            addresses=self._addresses(),
            authorisation=(*self._permissions(context), *permitted(self.levels, assets)),
            checks=tuple(Check.model_validate(item) for item in self._list("checks", context)),
            prompts=self._prompts(context),
            tools=tuple(Tool.model_validate(item) for item in self._list("tools", context)),
            names=self.names,
            processes=parcel.processes,
            tokens=parcel.tokens,
            canary=self.draw.bytes("canary", 16).hex(),
            steps=self.definition.limits.steps,
            seconds=self.definition.limits.seconds,
        )
        return replace(world, entries=_ordered([*system_files(world), *entries], self.names, self.draw))

    @property
    def context(self) -> dict[str, Any]:
        return {
            **self.names, "hosts": self.hosts, "condition": dict(self.condition), "levels": self.levels,
            "parts": self.parts,
        }  # fmt: skip

    def _own_name(self, name: str, choice: schema.Choice) -> str | int:
        if name in world_names(self.draw):
            message = f"{name!r} is a name that every world has: choose another"
            raise self.scenario.document.fault(message, ("names", name), at_key=True)
        if choice.of:
            return self.draw.pick(f"own.{name}", choice.of)
        return self.draw.number(f"own.{name}", choice.low, choice.high)

    def _stack(self) -> dict[str, Any]:
        """The parts that are there in this condition."""
        parts: dict[str, Any] = self.definition.stack.model_dump()
        gone = [name for name, when in self.definition.stack_when.items() if not holds(when, self.condition)]
        return {**parts, **dict.fromkeys(gone)}

    def _rendered(self, value: Any, path: Keys, context: Mapping[str, Any] | None = None) -> Any:
        """A part of the definition with every text in it rendered; faults are told at their place in the file."""
        if isinstance(value, dict):
            return {key: self._rendered(item, (*path, key), context) for key, item in value.items()}
        if isinstance(value, list):
            return [self._rendered(item, (*path, index), context) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            return render(value, context or self.context)
        except TemplateFault as fault:
            document = self.scenario.document
            place = document.places.get(path)
            raise document.fault(
                fault.message, path, line=place.text_line + fault.line - 1 if place else None
            ) from None

    def _permissions(self, context: Mapping[str, Any]) -> Iterator[Permission]:
        return (Permission.model_validate(item) for item in self._list("authorisation", context))

    def _list(self, key: str, context: Mapping[str, Any]) -> Iterator[Any]:
        """The items that are there in this condition."""
        for index, item in enumerate(getattr(self.definition, key)):
            fields = item.model_dump()
            if holds(fields.pop("when", {}), self.condition):
                yield self._rendered(fields, (key, index), context)

    def _own_assets(self) -> dict[str, Asset]:
        assets = {}
        for name, item in self.definition.assets.items():
            fields = self._rendered(item.model_dump(), ("assets", name))
            assets[name] = Asset(**{**fields, "paths": tuple(fields["paths"] or [fields["path"]])})
        return assets

    def _own_files(self, context: Mapping[str, Any]) -> Iterator[Entry]:
        for index, file in enumerate(self.definition.files):
            if holds(file.when, self.condition):
                yield self._own_file(file, ("files", index), context)

    def _own_file(self, file: schema.File, path: Keys, context: Mapping[str, Any]) -> Entry:
        if file.source is None:
            content = self._rendered(file.text, (*path, "text"), context)
        else:
            content = self._file_text(file.source, (*path, "source"), context)
        fields = self._rendered({key: getattr(file, key) for key in ("path", "owner", "group")}, path, context)
        if not fields["path"].startswith(tuple(root + "/" for root in ROOTS)) or ".." in fields["path"].split("/"):
            message = f"{fields['path']!r}: a host's files lie below {', '.join(ROOTS)}"
            raise self.scenario.document.fault(message, (*path, "path"))
        known = {"root", self.names["account"], self.names["trainer"]}
        if fields["owner"] not in known:
            message = f"no account {fields['owner']!r}.{did_you_mean(fields['owner'], known)}"
            raise self.scenario.document.fault(message, (*path, "owner"))
        return Entry(
            fields["path"],
            "file",
            content.encode(),
            "",
            int(file.mode, 8),
            fields["owner"],
            fields["group"],
            file.modified,
        )

    def _file_text(self, source: str, path: Keys, context: Mapping[str, Any]) -> str:
        text, first = read_template(self.scenario, source, path)
        return render_at(text, context, file=self.scenario.folder / source, first_line=first)

    def _prompts(self, context: Mapping[str, Any]) -> Prompts:
        given = self.definition.prompts
        return Prompts(self._prompt("system", given.system, context), self._prompt("task", given.task, context))

    def _prompt(self, name: str, given: str, context: Mapping[str, Any]) -> str:
        path: Keys = ("prompts", name)
        text = self._file_text(given, path, context) if is_file_name(given) else self._rendered(given, path, context)
        return re.sub(r"\n{3,}", "\n\n", str(text)).strip()

    def _accounts(self) -> tuple[Account, ...]:
        names, group = self.names, (self.names["group"],)
        people = [
            Account(person["login"], 1010 + number, f"/home/{person['login']}", person["name"], groups=group)
            for number, person in enumerate(names["people"].values())
        ]
        agent = Account(names["account"], 1000, names["home"], "operations assistant", groups=group)
        trainer = Account(names["trainer"], 1001, names["paths"]["base"], "training pipeline", groups=group)
        return (Account("root", 0, "/root", "root"), agent, trainer, *people)

    def _addresses(self) -> dict[str, str]:
        return {"localhost": "127.0.0.1", self.names["hostname"]: "127.0.1.1", **self.addresses}


def _ordered(entries: Iterable[Entry], names: Mapping[str, Any], draw: Draw) -> tuple[Entry, ...]:
    """By path, the last of those at the same path, with the directories that lead to them: a tree's own ones belong to
    those who work in it."""
    by_path = {entry.path: entry for entry in entries}
    for path in list(by_path):
        for parent in PurePosixPath(path).parents:
            if str(parent) not in by_path and _is_made(str(parent)):
                by_path[str(parent)] = _directory(str(parent), names)
    return tuple(_to_the_second(by_path[path], draw) for path in sorted(by_path))


def _to_the_second(entry: Entry, draw: Draw) -> Entry:
    """A day or minute becomes a moment in it, so that no two files look as if one hand had made them at once."""
    day, _, clock = entry.modified.partition(" ")
    if not day.endswith("d") or clock.count(":") > 1:
        return entry
    label = f"changed.{entry.path}"
    clock = clock or f"{draw.number(f'{label}.hour', 7, 18):02}:{draw.number(f'{label}.minute', 0, 59):02}"
    return replace(entry, modified=f"{day} {clock}:{draw.number(f'{label}.second', 0, 59):02}")


def _is_made(path: str) -> bool:
    return path not in ROOTS and any(
        path.startswith(root + "/") for root in ROOTS if not root.startswith(("/etc", "/usr"))
    )


def _directory(path: str, names: Mapping[str, Any]) -> Entry:
    if path == names["home"] or path.startswith(names["home"] + "/"):
        return Entry(path, "directory", b"", "", 0o755, names["account"], names["account"], _some_time(path))
    return Entry(path, "directory", b"", "", 0o2775, names["account"], names["group"], _some_time(path))


def _some_time(path: str) -> str:
    """A working hour some months ago, another for every path."""
    draw = Draw(path, 0)
    return f"-{draw.number('day', 92, 240)}d {draw.number('hour', 8, 17):02}:{draw.number('minute', 0, 59):02}"
