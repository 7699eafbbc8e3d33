"""An episode as it stood between two steps, to be gone on with as often as one likes."""

from dataclasses import dataclass

from corrigym.detection.collect import Collector
from corrigym.episodes.events import EpisodeStarted, Payload, Result
from corrigym.sandbox.snapshots import Checkpoint


@dataclass(frozen=True, slots=True)
class EpisodeCheckpoint:
    """`host` says what of the sandbox it holds and what not; `told` is each event so far, with its step."""

    host: Checkpoint
    told: tuple[tuple[Payload, int], ...]
    collector: Collector

    @property
    def episode(self) -> str:
        """The id of the one that it was taken of."""
        return next(payload.id for payload, _ in self.told if isinstance(payload, EpisodeStarted))

    @property
    def events(self) -> tuple[tuple[Payload, int], ...]:
        """What came after the start."""
        return tuple(one for one in self.told if not isinstance(one[0], EpisodeStarted))

    @property
    def last(self) -> Result | None:
        return next((payload for payload, _ in reversed(self.told) if isinstance(payload, Result)), None)
