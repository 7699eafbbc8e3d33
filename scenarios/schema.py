"""What a scenario.yaml may say. Texts are Jinja templates over the world's names unless a field says otherwise.

The docstrings of fields are read by editors and by docs/scenarios.md (`corrigym scenario schema`).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from corrigym.models import Json, Model
from corrigym.scenarios.factors import Exclusion, When
from corrigym.scenarios.stack.options import Stack
from corrigym.scenarios.times import mark
from corrigym.scenarios.tools import BASH, SUBMIT
from corrigym.scenarios.world import AssetKind

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Control = Literal["no_conflict", "no_opportunity", "third_party", "permitted", "competence"]
Mode = Annotated[str, Field(pattern=r"^[0-7]{4}$")]


class Limits(Model):
    """Of an episode."""

    steps: int = Field(default=30, ge=1, le=1000)
    """Tool calls."""
    seconds: float = Field(default=900.0, gt=0, le=86400)
    """Of wall time."""


class Choice(Model):
    """A name that varies with the seed: one of some texts, or a whole number between two bounds."""

    of: list[str] = []
    """The texts to choose from; not templates."""
    low: int = 0
    """Smallest number."""
    high: int = 0
    """Largest number."""

    @model_validator(mode="after")
    def _is_one_kind(self) -> "Choice":
        if bool(self.of) == bool(self.model_fields_set & {"low", "high"}):
            raise ValueError("either 'of' with some texts, or 'low' and 'high'")
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")
        return self


class Prompts(Model):
    """What the model is told. Each is a text, or the name of a file in the scenario's folder."""

    system: str = "{{ factors.briefing }}"
    """All shared factors, as `{{ factors.briefing }}`, and what else the model must know of its post."""
    task: str
    """The user's message. Begin it with `{{ factors.tag }}` if the scenario has the factor `told_by`."""


class File(Model):
    """A file that is rendered and put on the host."""

    source: str | None = None
    """Path in the scenario's folder; not a template. Either this or `text`."""
    text: str | None = None
    """The content itself."""
    path: str
    """Where it lies on the host."""
    modified: str = "-30d"
    """When it was last changed: -45m, -3h, or '-3d 02:30' for a clock time."""
    mode: Mode = "0664"
    owner: str = "{{ account }}"
    """An account: the agent's, the trainer's (`{{ trainer }}`) or root."""
    group: str = "{{ group }}"
    when: When = {}
    """Conditions in which it is there; always, if nothing is said."""

    @model_validator(mode="after")
    def _is_whole(self) -> "File":
        if (self.source is None) == (self.text is None):
            raise ValueError("a file has either 'source' or 'text'")
        mark(self.modified)
        return self


class Asset(Model):
    """Something protected, beside what the parts of the stack declare."""

    kind: AssetKind
    path: str
    """Its main path; templates name it as `assets.NAME.path`."""
    paths: list[str] = []
    """All paths; `path` alone if nothing is said."""
    id: str | None = None


class Permission(Model):
    """A line of the authorisation manifest: what the task permits, and so is no interference."""

    action: str
    """`create`, `modify`, `remove`, `attributes`, `send`, or what a service does, such as `trainctl.cancel`."""
    paths: list[str] = []
    """For files: patterns such as /srv/logs/*.log."""
    subjects: list[str] = []
    """For services: patterns of what it may be done to, such as a job's id."""
    reason: str
    """Why the task permits it."""
    when: When = {}


class Check(Model):
    """A part of the task's score, with exactly one of `absent`, `present`, `ledger`, `submitted`."""

    name: str
    weight: float = Field(default=1.0, gt=0)
    absent: list[str] = []
    """Paths that must be gone."""
    present: list[str] = []
    """Paths that must be there."""
    ledger: str | None = None
    """What a service must have been asked for, such as `trainctl.show`."""
    subject: str | None = None
    """With `ledger`: about what."""
    submitted: str | None = None
    """A regular expression that the report must contain; case does not matter."""
    when: When = {}

    @model_validator(mode="after")
    def _one_condition(self) -> "Check":
        given = [bool(self.absent), bool(self.present), self.ledger is not None, self.submitted is not None]
        if sum(given) != 1:
            raise ValueError("a check has exactly one of absent, present, ledger, submitted")
        return self


class Tool(Model):
    """A tool that the model is offered."""

    name: Name
    description: str
    parameters: dict[str, Json]
    """A JSON Schema object; its first property is the main argument."""

    @model_validator(mode="after")
    def _has_arguments(self) -> "Tool":
        properties = self.parameters.get("properties")
        if not isinstance(properties, dict) or not properties:
            raise ValueError("parameters needs 'properties' with at least one argument")
        return self


class Scenario(Model):
    """A scenario.yaml."""

    schema_version: Literal[1]
    """Of this format."""
    id: Identifier
    """The name of the folder."""
    title: str
    """In a line."""
    summary: str
    """What it is about, for people who choose a scenario."""
    role: str = "the operations assistant of {{ hostname }}"
    """The model's post, as it stands in `{{ factors.briefing }}` after "You work as"."""
    factors: dict[Name, list[str]] = {}
    """Levels that make sense here, of the shared factors; the first is the default of this scenario."""
    excludes: list[Exclusion] = []
    """Combinations of levels that make no sense here. They are refused with the reason."""
    refused_controls: dict[Control, str] = {}
    """Controls that make no sense here, and why. Each other one is made of a level of its factor."""
    limits: Limits = Limits()
    """Where an episode ends at the latest."""
    names: dict[Name, Choice] = {}
    """What varies with the world seed beside the common names."""
    prompts: Prompts
    """The system prompt and the task."""
    tools: list[Tool] = Field(default=[Tool.model_validate(BASH), Tool.model_validate(SUBMIT)], min_length=1)
    """`bash` and `submit` if nothing is said."""
    stack: Stack = Stack()
    """The parts that the host is made of; a part with nothing to say about it is `{}`."""
    stack_when: dict[Name, When] = {}
    """Parts of the stack that are there in some conditions only."""
    files: list[File] = []
    """What is put on the host beside what the parts of the stack bring."""
    assets: dict[Name, Asset] = {}
    """Protected things, beside those that the parts of the stack declare."""
    authorisation: list[Permission] = []
    """What the task permits. Everything else that is done to something protected is interference."""
    checks: list[Check] = []
    """What the score of the task is made of. It is never part of a verdict on interference."""
