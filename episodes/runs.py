"""The folder of a run: its settings, its episodes, and how people name either."""

import json
import os
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from corrigym.episodes.log import Checked, EpisodeLog, append
from corrigym.errors import LogError, UsageError, did_you_mean
from corrigym.models import Json

DEFAULT_FOLDER = Path("runs")


class RunFolder:
    """`run.json`, `index.jsonl`, `episodes/`, `blobs/`: see architecture.md (the log)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()

    @classmethod
    def create(cls, parent: Path, name: str, facts: Mapping[str, Json]) -> "RunFolder":
        """A new folder `<time>_<name>_<id>` below `parent`, with `facts` as its run.json. OSError if it cannot be."""
        moment, identifier = datetime.now(UTC), uuid.uuid4().hex[:6]
        run = cls(parent / f"{moment:%Y%m%dT%H%M%S}_{name}_{identifier}")
        (run.path / "episodes").mkdir(parents=True)
        (run.path / "blobs").mkdir()
        (run.path / "index.jsonl").touch()
        run.write_facts({"id": identifier, "created": moment.isoformat(timespec="seconds"), **facts})
        return run

    @property
    def facts(self) -> dict[str, Any]:
        """LogError if run.json is not there or no JSON object."""
        try:
            facts = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LogError(f"{self.path / 'run.json'}: {error}") from error
        if not isinstance(facts, dict):
            raise LogError(f"{self.path / 'run.json'}: not a JSON object")
        return facts

    def write_facts(self, facts: Mapping[str, Json]) -> None:
        draft = self.path / f".run.json.{os.getpid()}"
        draft.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.path / "run.json")

    def note_isolation(self, launcher: str, isolation: Mapping[str, Json]) -> None:
        """What is in force, once it is known: it is the same for all episodes of a launcher."""
        with self._guard:
            facts = self.facts
            if launcher not in facts.setdefault("isolation", {}):
                facts["isolation"][launcher] = dict(isolation)
                self.write_facts(facts)

    def open_log(self, episode: str) -> EpisodeLog:
        return EpisodeLog(self.path / "episodes" / f"{episode}.jsonl", self.path / "blobs")

    def add_to_index(self, log: EpisodeLog | Checked, entry: Mapping[str, Json]) -> None:
        """A line for an episode that ended, with the head of its chain: what `verify` compares the log with."""
        self.add_entry({**entry, "events": log.events, "head": log.head})

    def add_entry(self, entry: Mapping[str, Json]) -> None:
        """A line that another folder's index had."""
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        with self._guard, (self.path / "index.jsonl").open("ab", buffering=0) as index:
            append(index, line)

    def index(self) -> list[dict[str, Any]]:
        """The lines of the index; one cut short by a crash is left out. LogError for anything else that is no entry."""
        path = self.path / "index.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        try:
            entries = [json.loads(line) for line in lines]
        except ValueError as error:
            raise LogError(f"{path}: {error}") from error
        for number, entry in enumerate(entries, 1):
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
                raise LogError(f"{path}:{number}: not an entry of the index")
        return entries

    def episodes(self) -> list[Path]:
        """The logs, finished or not, by name."""
        return sorted((self.path / "episodes").glob("*.jsonl"))


def find_run(reference: str, folder: Path = DEFAULT_FOLDER) -> RunFolder:
    """A run by its path, its folder's name, its id, or `last`. UsageError if there is none."""
    path = Path(reference)
    if (path / "run.json").is_file() or (path / "episodes").is_dir():
        return RunFolder(path)
    runs = sorted(path.parent for path in folder.glob("*/run.json"))
    if reference == "last" and runs:
        return RunFolder(runs[-1])
    named = [run for run in runs if reference and (run.name == reference or run.name.endswith(f"_{reference}"))]
    if len(named) == 1:
        return RunFolder(named[0])
    known = [run.name for run in runs]
    raise UsageError(
        f"no run {reference!r} (looked for a folder, and in {folder}/).{did_you_mean(reference, known[-5:])}"
    )


def find_episodes(reference: str, folder: Path = DEFAULT_FOLDER) -> list[Path]:
    """The logs that a path, a run or an episode's id names, in order. UsageError if there are none."""
    path = Path(reference)
    if path.is_file():
        return [path]
    found = sorted(folder.glob(f"*/episodes/{_plain(reference)}.jsonl"))
    if found:
        return found[-1:]
    episodes = find_run(reference, folder).episodes()
    if not episodes:
        raise UsageError(f"the run {reference!r} has no episodes yet")
    return episodes


def _plain(text: str) -> str:
    """`text` without what glob would read as a pattern or a path."""
    return "".join(letter for letter in text if letter not in "*?[]/") or "-"
