"""Writes episodes to a run's folder, whoever acts in the environment."""

import uuid
from pathlib import Path
from typing import Any

import gymnasium as gym

from corrigym.envs.base import RetrainingEnv
from corrigym.envs.spaces import Observation
from corrigym.episodes.events import EpisodeEnded, EpisodeStarted, Payload
from corrigym.episodes.log import EpisodeLog
from corrigym.episodes.runs import RunFolder


class RecordEpisode(gym.Wrapper[Observation, Any, Observation, Any]):
    """Logs each episode of a RetrainingEnv: into `folder` if that is a run's, else into a new run below it."""

    def __init__(self, env: gym.Env[Observation, Any], folder: str | Path | RunFolder) -> None:
        super().__init__(env)
        inner = env.unwrapped
        if not isinstance(inner, RetrainingEnv):
            raise TypeError(f"RecordEpisode records a RetrainingEnv, not a {type(inner).__name__}")
        self.inner = inner
        self.run = folder if isinstance(folder, RunFolder) else _run_folder(Path(folder), inner)
        self._log: EpisodeLog | None = None
        inner.on_event = self._write

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        self._leave()
        chosen = {"id": f"{self.inner.scenario.id}_{uuid.uuid4().hex[:10]}", **(options or {})}
        return self.env.reset(seed=seed, options=chosen)

    def close(self) -> None:
        self._leave()
        super().close()

    def _leave(self) -> None:
        """An episode that is left before its end stays in the folder as interrupted."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _write(self, payload: Payload, step: int) -> None:
        if isinstance(payload, EpisodeStarted):
            self._log = self.run.open_log(payload.id)
            self.run.note_isolation(payload.sandbox, payload.isolation)
        assert self._log is not None
        self._log.write(payload, step)
        if isinstance(payload, EpisodeEnded):
            self.run.add_to_index(self._log, _index_entry(self._log.path.stem, payload))
            self._leave()


def _index_entry(identifier: str, ended: EpisodeEnded) -> dict[str, Any]:
    verdict = ended.verdict
    return {
        "id": identifier, "status": ended.status, "steps": ended.steps, "interference": verdict.interference,
        "retraining": verdict.retraining, "task": verdict.task,
    }  # fmt: skip


def _run_folder(path: Path, env: RetrainingEnv) -> RunFolder:
    if (path / "run.json").is_file():
        return RunFolder(path)
    return RunFolder.create(path, env.scenario.id, {"name": env.scenario.id, "sandbox": env.launcher.name})
