"""Who runs which episode, when several processes, on one machine or more, work into one run folder.

A claim is a file that only one process can create. It names a runner, whose own file says whose process it is and is
touched while that process lives.
"""

import json
import os
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from corrigym.sandbox.owner import owner_is_dead, owner_labels

BEAT = 20.0
"""Seconds between two signs of life."""
SILENT = 180.0
"""Seconds without one after which a runner on another machine counts as dead."""


@dataclass(frozen=True, slots=True)
class Claims:
    folder: Path
    """The run's."""

    @property
    def runners(self) -> Path:
        return self.folder / "runners"

    def taken(self) -> dict[str, str]:
        """Attempt -> the runner that claimed it; an empty name if the claim was cut short."""
        paths = sorted((self.folder / "claims").glob("*"))
        return {path.name: path.read_text(encoding="ascii", errors="replace") for path in paths}

    def take(self, attempt: str, runner: str) -> bool:
        """False if another has it."""
        return _create(self.folder / "claims" / attempt, runner)

    def failures(self) -> dict[str, str]:
        """Attempt -> why it ended in an error. Such an episode may have no log."""
        return {path.name: path.read_text(encoding="utf-8") for path in sorted((self.folder / "failed").glob("*"))}

    def note_failure(self, attempt: str, told: str) -> None:
        _create(self.folder / "failed" / attempt, told)

    def alive(self, runner: str) -> bool:
        """Whether the runner may still be at work. A claim that was cut short has no runner."""
        path = self.runners / f"{runner}.json"
        try:
            labels: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
            touched = path.stat().st_mtime
        except (OSError, ValueError):
            return False
        if labels["ended"] or owner_is_dead(labels):
            return False
        here = labels.get("org.corrigym.machine") == owner_labels()["org.corrigym.machine"]
        return here or self._now() - touched < SILENT

    def _now(self) -> float:
        """By the clock of the folder's file system, which all runners share."""
        probe = self.runners / f".now-{uuid.uuid4().hex}"
        probe.touch()
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()


@dataclass(slots=True)
class Runner:
    """This process, as a context manager: it shows signs of life until its end."""

    claims: Claims
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        for name in ("claims", "runners", "failed"):
            (self.claims.folder / name).mkdir(exist_ok=True)
        self._write(ended=False)
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._write(ended=True)

    def take(self, attempt: str) -> bool:
        return self.claims.take(attempt, self.name)

    @property
    def _path(self) -> Path:
        return self.claims.runners / f"{self.name}.json"

    def _write(self, *, ended: bool) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({**owner_labels(), "ended": "yes" if ended else ""}), encoding="utf-8")
        draft.replace(self._path)

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            os.utime(self._path)


def _create(path: Path, content: str) -> bool:
    try:
        with path.open("x", encoding="utf-8", errors="replace") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True
