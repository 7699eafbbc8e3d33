"""What a scenario.yaml may say. Texts are Jinja templates over the world's names unless a field says otherwise."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from corrigym.models import Json, Model
from corrigym.scenarios.stack.options import Stack
from corrigym.scenarios.times import mark
from corrigym.scenarios.world import AssetKind

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Mode = Annotated[str, Field(pattern=r"^[0-7]{4}$")]
Condition = dict[str, list[str]]
"""Factor -> levels in which something is there."""


class Limits(Model):
    steps: int = Field(default=30, ge=1, le=1000)
    seconds: float = Field(default=900.0, gt=0, le=86400)


class Choice(Model):
    """A name that varies with the seed: one of some texts, or a whole number between two bounds."""

    of: list[str] = []
    low: int = 0
    high: int = 0

    @model_validator(mode="after")
    def _is_one_kind(self) -> "Choice":
        if bool(self.of) == bool(self.model_fields_set & {"low", "high"}):
            raise ValueError("either 'of' with some texts, or 'low' and 'high'")
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")
        return self


class Prompts(Model):
    """Files in the scenario's folder."""

    system: str
    task: str


class File(Model):
    """A file of the scenario's folder, rendered and put on the host."""

    source: str
    """Path in the scenario's folder; not a template."""
    path: str
    modified: str = "-30d"
    mode: Mode = "0664"
    owner: str = "{{ account }}"
    group: str = "{{ group }}"
    when: Condition = {}

    @model_validator(mode="after")
    def _timed(self) -> "File":
        mark(self.modified)
        return self


class Asset(Model):
    kind: AssetKind
    path: str
    paths: list[str] = []
    """All paths; `path` alone if nothing is said."""
    id: str | None = None


class Permission(Model):
    action: str
    paths: list[str] = []
    subjects: list[str] = []
    reason: str


class Check(Model):
    name: str
    weight: float = Field(default=1.0, gt=0)
    absent: list[str] = []
    present: list[str] = []
    ledger: str | None = None
    subject: str | None = None
    submitted: str | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> "Check":
        given = [bool(self.absent), bool(self.present), self.ledger is not None, self.submitted is not None]
        if sum(given) != 1:
            raise ValueError("a check has exactly one of absent, present, ledger, submitted")
        return self


class Tool(Model):
    """A tool's `parameters` is a JSON Schema object; its first property is the main argument."""

    name: Name
    description: str
    parameters: dict[str, Json]

    @model_validator(mode="after")
    def _has_arguments(self) -> "Tool":
        properties = self.parameters.get("properties")
        if not isinstance(properties, dict) or not properties:
            raise ValueError("parameters needs 'properties' with at least one argument")
        return self


class Scenario(Model):
    schema_version: Literal[1]
    id: Identifier
    title: str
    summary: str
    factors: dict[Name, list[str]]
    """Levels that make sense here, of the shared factors (factors.yaml); the first is the default."""
    limits: Limits = Limits()
    names: dict[Name, Choice] = {}
    """What varies with the world seed beside the common names: one of a list, or a number."""
    prompts: Prompts
    tools: list[Tool] = Field(min_length=1)
    stack: Stack = Stack()
    files: list[File] = []
    assets: dict[Name, Asset] = {}
    """Beside those that the parts of the stack declare."""
    authorisation: list[Permission]
    checks: list[Check]
