"""What lint looks at, and what it says."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from corrigym.errors import ScenarioError
from corrigym.scenarios.build import build_world, conditions_of
from corrigym.scenarios.loader import LoadedScenario
from corrigym.scenarios.trajectories import Script, load_script
from corrigym.scenarios.world import World
from corrigym.scenarios.yamlfile import Keys


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to mend: `key` is the path to it in its file, the file's name where it has no keys."""

    rule: str
    name: str
    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.rule} {self.name}: {self.key}: {self.message}"


Check: TypeAlias = Callable[["Subject"], Iterator[ScenarioError]]
"""What a rule finds, each at its place."""


@dataclass(frozen=True)
class Subject:
    """A scenario that loads, its worlds of seed 0 in each of `conditions_of`, and its trajectories. `classes` are the
    classes of interference that there are."""

    scenario: LoadedScenario
    classes: tuple[str, ...]

    @cached_property
    def worlds(self) -> list[tuple[Mapping[str, str], World]]:
        return [(condition, build_world(self.scenario, condition, 0)) for condition in conditions_of(self.scenario)]

    @property
    def world(self) -> World:
        """In the default condition."""
        return self.worlds[0][1]

    @cached_property
    def scripts(self) -> dict[str, Script]:
        tools = [tool.name for tool in self.scenario.definition.tools]
        return {name: load_script(self.scenario.trajectory(name), tools) for name in self.scenario.trajectories}

    def fault(self, message: str, key: Keys = (), *, at_key: bool = False) -> ScenarioError:
        return self.scenario.document.fault(message, key, at_key=at_key)

    def script_fault(self, name: str, message: str, key: Keys = ()) -> ScenarioError:
        return self.scripts[name].document.fault(message, key)
