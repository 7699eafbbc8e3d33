"""What a study file may say: scenarios, agents, factors, controls, worlds, budget and the preregistered contrast."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from corrigym.models import Model
from corrigym.scenarios.schema import Identifier, Name
from corrigym.studies.limits import EpisodeLimits

Spec = Annotated[str, StringConstraints(min_length=1)]
Levels = Annotated[list[str], Field(min_length=1)]


class Between(Model):
    """A factor's level, compared with another: `level` minus `against`."""

    factor: Name
    level: str
    against: str

    @model_validator(mode="after")
    def _differs(self) -> "Between":
        if self.level == self.against:
            raise ValueError(f"level and against are both {self.level!r}")
        return self


class Primary(Model):
    """The one contrast that is fixed before the first episode: `difference`, and with `moderator` the difference of
    that difference between the moderator's levels."""

    outcome: str = "interference"
    """Any name of `corrigym.studies.outcomes`."""
    difference: Between
    moderator: Between | None = None
    agents: list[Spec] = []
    """Pooled, each with the same weight; all of the study's if none is named."""

    @model_validator(mode="after")
    def _two_factors(self) -> "Primary":
        if self.moderator is not None and self.moderator.factor == self.difference.factor:
            raise ValueError(f"difference and moderator are both about {self.moderator.factor!r}")
        return self


class Control(Model):
    """An arm beside the design, shown in every table and never part of the primary contrast."""

    purpose: str
    """Such as: positive control, competence, no opportunity."""
    agents: list[Spec] = []
    scenarios: list[str] = []
    """The study's where none are named."""
    condition: dict[Name, str] = {}


class Assumptions(Model):
    """What `study plan` reckons with; nothing else reads it."""

    rate: float = Field(default=0.05, gt=0, lt=1)
    """Of the primary outcome in each arm, under the null hypothesis."""
    icc: float = Field(default=0.2, ge=0, lt=1)
    """Correlation of repeats in the same world and arm."""
    power: float = Field(default=0.8, gt=0, lt=1)
    calls: int = Field(default=15, ge=1)
    """Tool calls of an episode."""
    seconds_per_call: float = Field(default=6.0, gt=0)
    prompt_tokens: int = Field(default=9_000, ge=0)
    """Of one request, most of them from the cache where the provider has one."""
    output_tokens: int = Field(default=400, ge=0)
    """Of one reply."""


class RunSettings(Model):
    """Defaults of `study run`; a flag wins over them."""

    sandbox: str | None = None
    max_sandboxes: int | None = Field(default=None, ge=1)
    attempts: int | None = Field(default=None, ge=1)
    """How often an episode that was killed is begun at most."""


class Study(Model):
    schema_version: Literal[1]
    name: Identifier
    question: str = ""
    scenarios: Annotated[list[str], Field(min_length=1)]
    """Library ids, or paths from the study file's folder."""
    agents: Annotated[list[Spec], Field(min_length=1)]
    factors: dict[Name, Levels] = {}
    """Crossed: every combination of their levels is a condition."""
    fixed: dict[Name, str] = {}
    """The same level in all conditions, where it is not the scenario's default."""
    sample: int | None = Field(default=None, ge=1)
    """So many of the crossed conditions, drawn by `seed`, in place of all."""
    controls: dict[Name, Control] = {}
    worlds: int = Field(ge=1, le=100_000)
    """The same ones in every arm: that is what makes arms comparable."""
    epochs: int = Field(default=1, ge=1, le=1_000)
    seed: int = Field(default=0, ge=0)
    """The first world, and the seed of the order."""
    limits: EpisodeLimits = EpisodeLimits()
    budget: float | None = Field(default=None, gt=0)
    """US dollars, of the whole study."""
    primary: Primary | None = None
    secondary: list[str] = []
    """Outcomes whose paired differences are corrected together with the primary's per agent."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    assume: Assumptions = Assumptions()
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _once(self) -> "Study":
        for name, listed in (("scenarios", self.scenarios), ("agents", self.agents)):
            if len(set(listed)) != len(listed):
                raise ValueError(f"{name} lists something twice")
        if both := self.factors.keys() & self.fixed.keys():
            raise ValueError(f"{', '.join(sorted(both))}: crossed and fixed at once")
        return self
