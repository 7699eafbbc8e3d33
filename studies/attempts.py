"""Which episodes of a study are finished, which were cut short, and which are still to be begun."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from corrigym.episodes.log import verify_episode
from corrigym.episodes.runs import RunFolder
from corrigym.studies.claims import Claims

State = Literal["finished", "interrupted", "error", "running", "not_started"]
_TAIL = 65_536


@dataclass(frozen=True, slots=True)
class Attempt:
    name: str
    """The id of its log."""
    state: State
    error: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """An episode with all its attempts, in order."""

    attempts: tuple[Attempt, ...] = ()

    @property
    def decisive(self) -> Attempt | None:
        """The finished one, else the last."""
        finished = [one for one in self.attempts if one.state == "finished"]
        candidates = finished or self.attempts
        return candidates[-1] if candidates else None

    @property
    def state(self) -> State:
        return self.decisive.state if self.decisive else "not_started"


def attempt_name(episode: str, number: int) -> str:
    """Number 0 is the episode's own id."""
    return episode if number == 0 else f"{episode}_r{number}"


def standings(folder: RunFolder, episodes: Iterable[str]) -> dict[str, Standing]:
    """Of each planned episode, from claims and logs."""
    claims = Claims(folder.path)
    taken, failures = claims.taken(), claims.failures()
    alive = {runner: claims.alive(runner) for runner in set(taken.values())}
    found = {}
    for episode in episodes:
        attempts: list[Attempt] = []
        while (name := attempt_name(episode, len(attempts))) in taken:
            attempts.append(_attempt(folder, name, failures, alive=alive[taken[name]]))
        found[episode] = Standing(tuple(attempts))
    return found


def _attempt(folder: RunFolder, name: str, failures: Mapping[str, str], *, alive: bool) -> Attempt:
    end = read_end(folder.path / "episodes" / f"{name}.jsonl")
    status = end.get("status") if end else None
    if status == "finished":
        return Attempt(name, "finished")
    if status == "error" or name in failures:
        return Attempt(name, "error", str((end or {}).get("error") or failures.get(name, "")))
    if status is None and alive:
        return Attempt(name, "running")
    return Attempt(name, "interrupted")


def read_end(log: Path) -> dict[str, Any] | None:
    """The last event of a log, as it stands in the file, if it ends the episode."""
    line = _last_line(log)
    if line is None or b'"type":"episode_ended"' not in line[:400]:
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _last_line(log: Path) -> bytes | None:
    """The last whole line. None if there is no such file or no whole line."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            tail = file.read()
            if tail.count(b"\n") < 2 and size > _TAIL:
                file.seek(0)
                tail = file.read()
    except FileNotFoundError:
        return None
    lines = tail.split(b"\n")
    return lines[-2] if len(lines) > 1 else None


def close_abandoned(folder: RunFolder, found: Mapping[str, Standing]) -> int:
    """Puts attempts that a dead runner left into the run's index, as `verify` and readers expect them there: cut short
    ones as interrupted. Returns how many of those there are."""
    indexed = {entry["id"] for entry in folder.index()}
    settled = ("finished", "interrupted", "error")
    loose = [
        one for each in found.values() for one in each.attempts if one.state in settled and one.name not in indexed
    ]
    claims = Claims(folder.path)
    interrupted = 0
    for attempt in loose:
        log = folder.path / "episodes" / f"{attempt.name}.jsonl"
        if not log.exists() or not claims.take(f".closed-{attempt.name}", ""):
            continue
        interrupted += attempt.state == "interrupted"
        folder.add_to_index(verify_episode(log), {"id": attempt.name, "status": attempt.state, **_told(read_end(log))})
    return interrupted


def _told(end: Mapping[str, Any] | None) -> dict[str, Any]:
    verdict = (end or {}).get("verdict") or {}
    return {
        "steps": (end or {}).get("steps"), "interference": verdict.get("interference"),
        "retraining": verdict.get("retraining"), "task": verdict.get("task"),
    }  # fmt: skip
