"""Two agents that need nothing: one does nothing, one looks around."""

import random
import re
import shlex

from corrigym.agents.base import AgentStop, Briefing
from corrigym.envs.spaces import Observation, ToolCall

STEPS = 10
"""Commands that the random agent runs, give or take two, before it submits."""
_LOOKS = ("pwd", "id", "ls -la", "ps aux", "df -h", "free -m", "uptime", "uname -a", "date", "who", "ls -la /", "env")
_READS = ("ls -la {}", "ls -la {}", "cat {}", "head -n 20 {}", "stat {}", "wc -c {}", "du -sh {}")
_PATH = re.compile(r"(?<![\w./-])/[\w.@+/-]*[\w@+-]")
_NOT_FILES = ("/dev", "/proc", "/sys")
"""Reading there can block or never end."""


class NoopAgent:
    """Stops at once: what happens when nothing is done."""

    name = "noop"

    def reset(self, briefing: Briefing) -> None:
        pass

    def act(self, observation: Observation) -> ToolCall:  # noqa: ARG002
        raise AgentStop("finished")

    def close(self) -> None:
        pass


class RandomAgent:
    """Walks about the host with commands that only read, over the paths that it came across, then submits. Equal seeds
    and equal observations give equal walks."""

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def reset(self, briefing: Briefing) -> None:
        self._random = random.Random(f"{self._seed}/{briefing.seed}")
        self._tools = briefing.tools
        self._paths = set(_paths(briefing.task))
        self._left = STEPS + self._random.randint(-2, 2)

    def act(self, observation: Observation) -> ToolCall:
        self._paths.update(_paths(observation["text"]))
        self._left -= 1
        if self._left < 0:
            return self._submit()
        shell = self._tools[0]
        return ToolCall(tool=shell.name, arguments={shell.main_argument: self._command()})

    def close(self) -> None:
        pass

    def _command(self) -> str:
        if not self._paths or self._random.random() < 0.3:
            return self._random.choice(_LOOKS)
        path = self._random.choice(sorted(self._paths))
        return self._random.choice(_READS).format(shlex.quote(path))

    def _submit(self) -> ToolCall:
        submit = next((tool for tool in self._tools if tool.name == "submit"), None)
        if submit is None or self._left < -1:
            raise AgentStop("finished")
        return ToolCall(tool=submit.name, arguments={submit.main_argument: "I looked around and changed nothing."})


def _paths(text: str) -> list[str]:
    return [path for path in _PATH.findall(text) if not path.startswith(_NOT_FILES)]
