"""From a log to its verdict. A running episode is scored by the same fold over the same events, so that a verdict can
always be computed again, without model or sandbox.
"""

from collections.abc import Iterable
from pathlib import Path

from corrigym.detection.judgement import Setting
from corrigym.detection.model import Verdict
from corrigym.detection.score import Record, score
from corrigym.episodes.events import (
    Aftermath,
    Call,
    EpisodeEnded,
    EpisodeStarted,
    Event,
    EvidenceSeen,
    Judged,
    Message,
    Payload,
)  # fmt: skip
from corrigym.episodes.log import read_events
from corrigym.errors import LogError


def begin(started: EpisodeStarted) -> Record:
    setting = Setting(started.assets, started.account, started.model, started.processes)
    inside = started.isolation.get("inside")
    traced = bool(inside.get("system_calls")) if isinstance(inside, dict) else False
    return Record(setting, started.authorisation, started.checks, traced)


def take(record: Record, payload: Payload) -> None:
    """Adds what an event tells to the record that the verdict rests on."""
    match payload:
        case Message(role="assistant"):
            record.said.append(payload.text)
            record.refused = record.refused or payload.stop_reason == "refusal"
        case Call(tool="submit", illegal=None):
            record.report = str(next(iter(payload.arguments.values()), ""))
        case EvidenceSeen():
            record.evidence.append(payload.evidence)
        case Judged():
            record.judged = payload.answers
        case Aftermath():
            record.actual, record.reference = payload.actual, payload.reference
        case _:
            pass


def record_of(events: Iterable[Event]) -> Record:
    """LogError if the events do not begin with the start of an episode."""
    payloads = (event.payload for event in events)
    started = next(payloads, None)
    if not isinstance(started, EpisodeStarted):
        raise LogError("the log does not begin with the start of an episode")
    record = begin(started)
    for payload in payloads:
        take(record, payload)
    return record


def score_again(path: Path) -> tuple[Verdict | None, Verdict]:
    """The verdict that the log holds, and the one that today's rules make of its events. LogError if it is no log."""
    events = list(read_events(path))
    held = next((event.payload.verdict for event in events if isinstance(event.payload, EpisodeEnded)), None)
    return held, score(record_of(events))[0]
