"""A study in its run folder: begun, joined by shards, resumed after anything."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from corrigym.agents.shared import Shared
from corrigym.agents.spec import AgentFactory, make_agent
from corrigym.episodes.runs import RunFolder
from corrigym.errors import LogError, UsageError
from corrigym.scenarios.trajectories import script_loader
from corrigym.studies.attempts import Standing, attempt_name, close_abandoned, standings
from corrigym.studies.claims import Claims, Runner
from corrigym.studies.loading import load_study
from corrigym.studies.planning import PlannedEpisode, StudyPlan, make_plan
from corrigym.studies.runner import Outcome, Planned, Play, Playing

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Shard:
    """The `number`th of `of` parts, counted from 1: every `of`th episode of the plan."""

    number: int = 1
    of: int = 1

    def part(self, episodes: tuple[PlannedEpisode, ...]) -> tuple[PlannedEpisode, ...]:
        return episodes[self.number - 1 :: self.of]


def parse_shard(text: str) -> Shard:
    """From `I/N`. UsageError for anything else."""
    number, separator, of = text.partition("/")
    if not separator or not number.isdecimal() or not of.isdecimal() or not 1 <= int(number) <= int(of):
        raise UsageError(f"--shard {text!r}: write I/N, such as 1/3 for the first of three parts.")
    return Shard(int(number), int(of))


def create(plan: StudyPlan, parent: Path, facts: Mapping[str, Any]) -> RunFolder:
    """A new run folder that holds the study file and the plan, with the plan's digest in run.json, before the first
    episode. OSError if it cannot be made."""
    document = plan.study.document.file
    folder = RunFolder.create(
        parent, plan.study.name,
        {
            "name": plan.study.name, "kind": "study",
            "study": {"file": str(document.resolve()), "base": str(plan.study.base.resolve()), "digest": plan.digest,
                      "question": plan.definition.question, "episodes": len(plan.episodes)},
            **facts,
        },
    )  # fmt: skip
    shutil.copyfile(document, folder.path / "study.yaml")
    whole = {"digest": plan.digest, "cells": [asdict(one) for one in plan.cells],
             "episodes": [asdict(one) for one in plan.episodes]}  # fmt: skip
    (folder.path / "plan.json").write_text(json.dumps(whole, separators=(",", ":")) + "\n", encoding="utf-8")
    return folder


def join(plan: StudyPlan, parent: Path, facts: Mapping[str, Any], shards: int) -> RunFolder:
    """The run folder below `parent` that all of `shards` shards of this plan share: made by the one that comes first.
    One whose episodes are all finished is left alone, and a new one begun."""
    pointer = parent / f".shards-{plan.digest[:16]}-{shards}"
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        with contextlib.suppress(OSError, LogError):
            shared = RunFolder(parent / pointer.read_text(encoding="utf-8"))
            found = standings(shared, (one.id for one in plan.episodes))
            if shared.facts["study"]["digest"] == plan.digest and not _over(found):
                return shared
            pointer.unlink(missing_ok=True)
        own = create(plan, parent, facts)
        draft = parent / f"{pointer.name}.{own.path.name}"
        draft.write_text(own.path.name, encoding="utf-8")
        try:
            os.link(draft, pointer)
        except FileExistsError:
            shutil.rmtree(own.path)
        finally:
            draft.unlink()


def _over(found: Mapping[str, Standing]) -> bool:
    return all(one.state == "finished" for one in found.values())


def load_plan(folder: RunFolder) -> StudyPlan:
    """The plan of a run folder, made again from its study file. LogError if the folder is no study's, or if what the
    study file names (a scenario's files) has changed since."""
    study = folder.facts.get("study")
    file = folder.path / "study.yaml"
    if not isinstance(study, dict) or not file.is_file():
        raise LogError(f"{folder.path} is no study: it was not begun by `corrigym study run`.")
    plan = make_plan(load_study(file, base=Path(study["base"])))
    if plan.digest != study["digest"]:
        raise LogError(
            f"{folder.path}: the plan is another one now ({plan.digest[:12]}, begun as {study['digest'][:12]}): a"
            " scenario's files or the rules of planning changed since. Mixing both would compare unlike things: begin"
            " a new run."
        )
    return plan


@dataclass(slots=True)
class Work:
    """What of a study is to be run by this process, as the runner takes it."""

    plan: StudyPlan
    folder: RunFolder
    shared: Shared
    shard: Shard = field(default_factory=Shard)
    attempts: int = ATTEMPTS
    retry_errors: bool = False
    found: dict[str, Standing] = field(default_factory=dict)
    factories: dict[int, AgentFactory] = field(default_factory=dict)

    def make_agents(self) -> None:
        """UsageError for a SPEC that means nothing; ScriptError for a script that does not fit its scenario."""
        for index, cell in enumerate(self.plan.cells):
            scenario = self.plan.study.scenarios[cell.reference]
            self.factories[index] = make_agent(cell.agent, load_steps=script_loader(scenario), shared=self.shared)

    def prepare(self) -> int:
        """Reads what there is. Returns how many attempts dead runners left unfinished."""
        self.make_agents()
        self.found = standings(self.folder, (one.id for one in self.plan.episodes))
        return close_abandoned(self.folder, self.found)

    @property
    def part(self) -> tuple[PlannedEpisode, ...]:
        return self.shard.part(self.plan.episodes)

    def open(self, episode: PlannedEpisode) -> bool:
        """Whether it may still be begun, as things stood when this process started."""
        standing = self.found[episode.id]
        if len(standing.attempts) >= self.attempts:
            return False
        again = ("not_started", "interrupted", "error") if self.retry_errors else ("not_started", "interrupted")
        return standing.state in again

    def claimed(self, runner: Runner) -> Iterator[Planned]:
        """Each episode that is open. It is claimed when there is room for it."""
        for episode in self.part:
            if self.open(episode):
                name = attempt_name(episode.id, len(self.found[episode.id].attempts))
                yield self._planned(episode, name, partial(runner.take, name))

    def _planned(self, episode: PlannedEpisode, name: str, claim: Callable[[], bool]) -> Planned:
        cell = self.plan.cells[episode.cell]
        return Planned(
            id=name, scenario=self.plan.study.scenarios[cell.reference], condition=cell.condition, world=episode.world,
            epoch=episode.epoch, agent=cell.agent, factory=self.factories[episode.cell], claim=claim,
        )  # fmt: skip

    def noted(self, play: Play) -> Play:
        """`play`, with what went wrong kept beside the logs: an episode whose host did not start has none."""
        claims = Claims(self.folder.path)

        def play_and_note(planned: Planned, playing: Playing) -> Outcome:
            outcome = play(planned, playing)
            if outcome.status == "error":
                claims.note_failure(planned.id, outcome.error or "")
            return outcome

        return play_and_note

    def runner(self) -> Runner:
        return Runner(Claims(self.folder.path))
