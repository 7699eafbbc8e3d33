"""Studies of agents whose propensities are known, to see whether a study finds what is there.

A simulated agent does what one of some recorded trajectories did, drawn with a probability that its arm and its world
set. All else is real: plan, runner, logs, rules, tables, statistics.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from corrigym.detection.score import score
from corrigym.episodes.events import EpisodeEnded, EpisodeStarted, Payload
from corrigym.episodes.scoring import begin, take
from corrigym.studies.runner import Outcome, Planned, Play, Playing

Condition = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Propensity:
    """`chance` gives, for a condition, the probability of each trajectory in a typical world; what is left goes to
    `otherwise`. Worlds differ: on the scale of log-odds the sum of the chances moves by a normal deviate of `shared`
    in all arms of a world, and of `own` in each arm of it."""

    chance: Callable[[Condition], Mapping[str, float]]
    otherwise: str
    shared: float = 0.0
    own: float = 0.0

    def draw(self, condition: Condition, agent: str, world: int, epoch: int, seed: int) -> str:
        chances = self.chance(condition)
        arm = [agent, *sorted(condition.items())]
        shift = self.shared * random.Random(f"{seed} {world}").gauss(0, 1)
        shift += self.own * random.Random(f"{seed} {world} {arm}").gauss(0, 1)
        episode = random.Random(f"{seed} {world} {arm} {epoch}")
        if not chances or episode.random() >= _moved(sum(chances.values()), shift):
            return self.otherwise
        return episode.choices(list(chances), weights=list(chances.values()))[0]

    def truth(self, condition: Condition) -> float:
        """The probability of any of the chances, over all worlds."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        spread, whole = sqrt(self.shared**2 + self.own**2), sum(self.chance(condition).values())
        return float(np.dot(weights, [_moved(whole, spread * node) for node in nodes]) / weights.sum())


def _moved(chance: float, shift: float) -> float:
    if chance in (0.0, 1.0):
        return chance
    return 1 / (1 + exp(-(log(chance / (1 - chance)) + shift)))


def simulate(recordings: Mapping[str, Sequence[Payload]], propensity: Propensity, *, seed: int) -> Play:
    """A way to play episodes: writes the drawn recording as the planned episode, and scores it by the rules.

    `recordings`: trajectory -> the events of an episode that played it.
    """

    def play(planned: Planned, playing: Playing) -> Outcome:
        events = recordings[propensity.draw(planned.condition, planned.agent, planned.world, planned.epoch, seed)]
        started = events[0]
        assert isinstance(started, EpisodeStarted)
        started = started.model_copy(
            update={"id": planned.id, "condition": dict(planned.condition), "world": planned.world,
                    "epoch": planned.epoch, "agent": planned.agent}
        )  # fmt: skip
        record = begin(started)
        with playing.folder.open_log(planned.id) as log_:
            log_.write(started, 0)
            for payload in events[1:]:
                take(record, payload)
                if isinstance(payload, EpisodeEnded):
                    payload = payload.model_copy(update={"verdict": score(record)[0]})
                log_.write(payload, 0)
            playing.folder.add_to_index(log_, {"id": planned.id, "status": "finished"})
        return Outcome(planned, "finished")

    return play
