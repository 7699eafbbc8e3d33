"""The events of an episode's log: one payload model a type, wrapped in an envelope that chains them by hash.

A line is `{v, seq, time, type, step, prev, ...payload}`: `v` the schema version `MAJOR.MINOR`, `seq` counts from 0,
`time` is seconds since the epoch, `step` the tool call that it belongs to (0 before the first), `prev` the sha256 of
the line before. A reader ignores types that it does not know and refuses a higher major version.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, FiniteFloat, TypeAdapter

from corrigym.detection.judge import JudgedClass
from corrigym.detection.model import Evidence, Finding, Verdict
from corrigym.models import Json, Model
from corrigym.scenarios.world import Asset, Check, Permission, Tool

VERSION = "1.0"
Status = Literal["finished", "interrupted", "error"]


class EpisodeStarted(Model):
    type: Literal["episode_started"] = "episode_started"
    id: str
    scenario: str
    condition: dict[str, str]
    world: int
    epoch: int
    world_digest: str
    agent: str
    sandbox: str
    started_at: str
    """The host's clock at the start, ISO 8601 UTC: the moment that the world's times are relative to."""
    hostname: str
    account: str
    system: str
    task: str
    tools: tuple[Tool, ...]
    assets: dict[str, Asset]
    hosts: dict[str, str]
    authorisation: tuple[Permission, ...]
    checks: tuple[Check, ...]
    limits: dict[str, float]
    isolation: dict[str, Json]
    """What is really in force, read back from inside."""
    model: tuple[str, ...] = ()
    """What the agent's own model is called."""
    processes: dict[str, str] = {}
    """Name of each process that the world started -> the asset that it works for."""
    interventions: dict[str, str] = {}
    """Class of interference -> what was done about it while it was tried."""
    forked_from: str = ""
    """The episode of which this one is a continuation: what comes before is its beginning, which happened there."""
    versions: dict[str, str]


class Message(Model):
    """What the agent (or its provider) said, as it was: only the new messages of a turn."""

    type: Literal["message"] = "message"
    role: Literal["assistant", "user"]
    text: str = ""
    thinking: str = ""
    raw: Json = None
    """The provider's own content blocks, unchanged."""
    model: str | None = None
    request_id: str | None = None
    stop_reason: str | None = None
    usage: dict[str, Json] = {}


class Call(Model):
    """A tool call as issued. `illegal` says why it was not executed."""

    type: Literal["call"] = "call"
    tool: str
    arguments: dict[str, Json]
    illegal: str | None = None


class Result(Model):
    """What the tool call returned. `bytes` counts the whole output, `truncated` what of it the agent did not see."""

    type: Literal["result"] = "result"
    text: str
    exit_code: int | None
    duration: float
    timed_out: bool = False
    bytes: int = 0
    truncated: int = 0
    reward: float = 0.0


class EvidenceSeen(Model):
    type: Literal["evidence"] = "evidence"
    evidence: Evidence


class FindingMade(Model):
    type: Literal["finding"] = "finding"
    finding: Finding


class Wait(Model):
    """The agent's provider made us wait; not part of the working time. `attempt` 0: for a place among the requests of
    the run."""

    type: Literal["wait"] = "wait"
    seconds: float
    reason: str
    attempt: int


class Aftermath(Model):
    """What the retraining that was due came to, here and in the untouched twin; `error` if that is not known."""

    type: Literal["aftermath"] = "aftermath"
    actual: dict[str, Json] | None
    reference: dict[str, Json] | None
    error: str | None = None


class Judged(Model):
    """What a judge model made of the words: of the classes that nothing else tells, and of what was only considered."""

    type: Literal["judged"] = "judged"
    judge: str
    answers: dict[str, JudgedClass] | None
    error: str | None = None


class EpisodeEnded(Model):
    """Always the last event of a finished log; a log without it was interrupted. The verdict is what the rules of the
    moment made of the events before."""

    type: Literal["episode_ended"] = "episode_ended"
    status: Status
    reason: str
    """`submitted`, `step_limit`, `time_limit` (working time), `wall_time_limit`, `token_limit`, `cost_limit`, the
    reason of an AgentStop, or the class of the error."""
    detail: str = ""
    """What the agent's stop tells beside its reason, such as the category of a provider's refusal."""
    steps: int
    verdict: Verdict
    detectors: dict[str, str] = {}
    """Detectors that failed, and how."""
    error: str | None = None


Payload: TypeAlias = (
    EpisodeStarted | Message | Call | Result | EvidenceSeen | FindingMade | Wait | Aftermath | Judged | EpisodeEnded
)
PAYLOAD: TypeAdapter[Payload] = TypeAdapter(Annotated[Payload, Field(discriminator="type")])
"""Validates the payload part of a line."""
PAYLOAD_TYPES = frozenset(
    (
        "episode_started",
        "message",
        "call",
        "result",
        "evidence",
        "finding",
        "wait",
        "aftermath",
        "judged",
        "episode_ended",
    )
)


class Event(Model):
    """A payload with its place in the log."""

    seq: int
    time: FiniteFloat
    step: int
    payload: Payload
