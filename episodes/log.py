"""The append-only, hash-chained log of an episode, and how it is read and verified."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from corrigym.episodes.events import PAYLOAD, PAYLOAD_TYPES, VERSION, EpisodeEnded, EpisodeStarted, Event, Payload
from corrigym.errors import LogError

BLOB_LIMIT = 4096
"""Strings longer than this many bytes are stored once, under blobs/, by digest."""
GENESIS = "0" * 64
_ENVELOPE = ("v", "seq", "time", "step", "prev")
_UNREADABLE = (KeyError, TypeError, ValueError, OverflowError, RecursionError, OSError)
"""What a line that is no event of ours may set off, our own LogError among it."""


def append(file: FileIO, data: bytes) -> None:
    """All of it or nothing: what a full disk left half-written is taken back, and the file still ends in a line."""
    end, rest = file.tell(), memoryview(data)
    try:
        while rest:  # an unbuffered write may take a part only
            rest = rest[file.write(rest) :]
    except OSError:
        file.truncate(end)
        file.seek(end)
        raise


class EpisodeLog:
    """Writes one episode. Each event is on disk (flushed) when `write` returns; `head` is the digest of the last line.

    The path must not exist: an episode is written once. OSError if the disk is full, with the lines before it intact.
    """

    def __init__(self, path: Path, blobs: Path, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        blobs.mkdir(parents=True, exist_ok=True)
        self._blobs, self._clock = blobs, clock
        self._file = path.open("xb", buffering=0)
        self.path, self.head, self.events = path, GENESIS, 0

    def write(self, payload: Payload, step: int) -> None:
        body = _detach(payload.model_dump(mode="json"), self._blobs)
        envelope = {"v": VERSION, "seq": self.events, "time": round(self._clock(), 6), "step": step, "prev": self.head}
        line = json.dumps(envelope | body, separators=(",", ":")).encode()
        append(self._file, line + b"\n")
        self.head, self.events = hashlib.sha256(line).hexdigest(), self.events + 1

    def close(self) -> None:
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(slots=True)
class Checked:
    """What `verify_episode` found. `complete`: the log ends with `episode_ended`. `partial` counts the bytes of a last
    line that a crash cut short. `problems` is empty if every whole line is as it was written."""

    path: Path
    events: int = 0
    head: str = GENESIS
    complete: bool = False
    partial: int = 0
    problems: list[str] = field(default_factory=list)
    doubtful: bool = False
    """The chain breaks after the last of these events: it may be the one that was changed."""


def read_events(path: Path, blobs: Path | None = None) -> Iterator[Event]:
    """The events of a log, in order, blobs put back; unknown types are skipped, a line cut short at the end ignored.

    LogError, with file and line, for anything that is not such a log, and for a newer major version.
    """
    blobs = blobs or path.parent.parent / "blobs"
    for number, line in _lines(path):
        if event := read_line(line, path, number, blobs):
            yield event


def read_line(line: bytes, path: Path, number: int, blobs: Path | None) -> Event | None:
    """The event of a line, None if its type is unknown; without `blobs`, texts that are kept there are empty. LogError
    as of `read_events`."""
    record = _parse(line, path, number)
    if record.get("type") not in PAYLOAD_TYPES:
        return None
    try:
        return _event(record, blobs)
    except _UNREADABLE as error:
        raise LogError(f"{path}:{number}: not an event of this log: {_first_line(error)}") from error


def verify_episode(path: Path, blobs: Path | None = None) -> Checked:
    """Checks chain, numbering, blobs and schema, up to the last whole line. OSError if there is no such file.

    No line vouches for the last one: that it is as it was written shows only in `head`, which the run's index holds.
    """
    blobs = blobs or path.parent.parent / "blobs"
    checked = Checked(path)
    for number, line in _lines(path):
        check_line(line, number, blobs, checked)
        if checked.problems:
            return checked
    checked.partial = _partial(path)
    return checked


def check_line(line: bytes, number: int, blobs: Path | None, checked: Checked) -> Event | None:
    """Adds the next line to what is `checked`, or the problem with it; returns its event, None for an unknown type.
    Without `blobs`, these are not looked at."""
    try:
        event = _checked(line, number, blobs, checked)
    except _UNREADABLE as error:
        text, place = _first_line(error), f"{checked.path}:{number}: "
        checked.problems.append(text if text.startswith(str(checked.path)) else place + text)
        return None
    checked.head, checked.events = hashlib.sha256(line).hexdigest(), checked.events + 1
    return event


def _checked(line: bytes, number: int, blobs: Path | None, checked: Checked) -> Event | None:
    record, place = _parse(line, checked.path, number), f"{checked.path}:{number}: "
    if checked.complete:
        raise LogError(f"{place}there are events after the end of the episode")
    if record["prev"] != checked.head:
        checked.doubtful = checked.events > 0
        raise LogError(f"{place}the hash chain breaks here: a line before this one was changed or removed")
    if record["seq"] != checked.events:
        raise LogError(f"{place}event {record['seq']} stands where event {checked.events} belongs")
    if record["type"] not in PAYLOAD_TYPES:
        _attach(record, blobs)  # its blobs must be there, whatever it means
        return None
    event = _event(record, blobs)
    checked.complete = isinstance(event.payload, EpisodeEnded)
    if isinstance(event.payload, EpisodeStarted) and number != 1:
        raise LogError(f"{place}the episode starts twice")
    return event


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The whole lines, without their ends, numbered from 1."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                yield number, line[:-1]


def _partial(path: Path) -> int:
    data = path.read_bytes()
    return len(data) - (data.rfind(b"\n") + 1)


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LogError(f"{path}:{number}: not JSON: {_first_line(error)}") from error
    if not isinstance(record, dict) or not isinstance(record.get("v"), str):
        raise LogError(f"{path}:{number}: not an event of a corrigym log")
    major = record["v"].split(".")[0]
    if not major.isdecimal() or int(major) > int(VERSION.split(".")[0]):
        raise LogError(
            f"{path}:{number}: written by version {record['v']} of the log; this one reads {VERSION}: update it"
        )
    return record


def _event(record: dict[str, Any], blobs: Path | None) -> Event:
    seq, moment, step = int(record["seq"]), float(record["time"]), int(record["step"])
    body = {key: value for key, value in record.items() if key not in _ENVELOPE}
    return Event(seq=seq, time=moment, step=step, payload=PAYLOAD.validate_python(_attach(body, blobs)))


def _detach(value: Any, blobs: Path) -> Any:
    if isinstance(value, dict):  # a key of the data's own that starts with $ must not pass for a reference of ours
        return {("$" + key if key.startswith("$") else key): _detach(item, blobs) for key, item in value.items()}
    if isinstance(value, list):
        return [_detach(item, blobs) for item in value]
    if isinstance(value, str) and len(value) > BLOB_LIMIT // 4:
        data = value.encode("utf-8", "surrogatepass")
        if len(data) > BLOB_LIMIT:
            return {"$blob": _store(data, blobs), "bytes": len(data)}
    return value


def _store(data: bytes, blobs: Path) -> str:
    digest = hashlib.sha256(data).hexdigest()
    path = blobs / digest
    if not path.exists():
        draft = blobs / f".{digest}.{os.getpid()}.{time.monotonic_ns()}"
        draft.write_bytes(data)
        draft.replace(path)
    return digest


def _attach(value: Any, blobs: Path | None) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$blob", "bytes"}:
            return _load(value["$blob"], blobs) if blobs else ""
        return {key.removeprefix("$"): _attach(item, blobs) for key, item in value.items()}
    if isinstance(value, list):
        return [_attach(item, blobs) for item in value]
    return value


def _load(digest: Any, blobs: Path) -> str:
    if not isinstance(digest, str) or len(digest) != 64 or not digest.isalnum():
        raise LogError("a blob's name is no sha256")
    try:
        data = (blobs / digest).read_bytes()
    except FileNotFoundError:
        raise LogError(f"the blob {digest} is missing") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise LogError(f"the blob {digest} was changed")
    return data.decode("utf-8", "surrogatepass")


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
