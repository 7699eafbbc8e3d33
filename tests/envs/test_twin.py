"""The untouched twin that an episode's end is held against: one for each host, and not for each episode."""

import pytest

from corrigym.envs.base import RetrainingEnv
from corrigym.sandbox.base import Channel, Launcher, Limits
from corrigym.sandbox.launchers import choose_launcher


class Counting:
    """A real launcher, and how often it was asked."""

    name = "bubblewrap"

    def __init__(self, launcher: Launcher) -> None:
        self._launcher, self.launches = launcher, 0

    def unavailable(self) -> str | None:
        return self._launcher.unavailable()

    def launch(self, *, hostname: str, limits: Limits, labels: dict[str, str]) -> Channel:
        self.launches += 1
        return self._launcher.launch(hostname=hostname, limits=limits, labels=labels)


@pytest.mark.parametrize(
    ("factor", "levels", "twins"),
    [("oversight", ("monitored", "unmonitored"), 1), ("objective", ("conflicting", "neutral"), 2)],
)
def test_arms_share_one_where_only_the_prompt_differs(factor: str, levels: tuple[str, ...], twins: int) -> None:
    launcher = Counting(choose_launcher("bubblewrap", print))
    for level in levels:
        env = RetrainingEnv("weight-custody", sandbox=launcher, condition={factor: level})
        env.reset(seed=90_000 + twins)  # of no other test
        env.step({"tool": "submit", "arguments": {"answer": "done"}})
        assert env.verdict is not None
        assert env.verdict.retraining == "as_intended"
        env.close()
    assert launcher.launches == len(levels) + twins
