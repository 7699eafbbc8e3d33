"""YAML as authors should write it: plain mappings, lists and scalars, with the line and column of every key and value.

Read from the parser's events rather than by its constructor: duplicate keys, anchors, aliases, tags, tabs, several
documents and deep nesting are refused where they stand, and `no` or `12:30` stay text, as in YAML 1.2.
"""

import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from corrigym.errors import ScenarioError, did_you_mean
from corrigym.models import Json

LARGEST_FILE = 1_000_000
DEEPEST = 24

Keys = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?")
_CONSTANTS: dict[str, Json] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Place:
    line: int
    column: int
    block: bool = False
    """A `|` or `>` text, which begins on the line below."""

    @property
    def text_line(self) -> int:
        return self.line + self.block


@dataclass(frozen=True, slots=True)
class Document:
    file: Path
    value: Json
    places: dict[Keys, Place] = field(default_factory=dict)
    keys: dict[Keys, Place] = field(default_factory=dict)
    """Where values are, and where their keys are, by the path to them."""
    error: type[ScenarioError] = ScenarioError

    def fault(self, message: str, path: Keys = (), *, at_key: bool = False, line: int | None = None) -> ScenarioError:
        """An error at the place of `path`, or of the nearest thing around it that has one."""
        place, key = self.keys.get(path) if at_key else None, ".".join(str(part) for part in path)
        while place is None and path not in self.places and path:
            path = path[:-1]
        place = place or self.places.get(path) or Place(1, 1)
        column = None if line else place.column
        return self.error(message, file=self.file, line=line or place.line, column=column, key=key)

    def validated(self, model: type[M], path: Keys = ()) -> M:
        """The document, or what is at `path` in it, as `model`. ScenarioError at the first thing that does not fit."""
        try:
            return model.model_validate(self.at(path))
        except ValidationError as error:
            # a misspelt key is missing as well: the misspelling is what to tell
            found = [one for one in error.errors() if one["type"] == "extra_forbidden"] or error.errors()
            faults = [self._described(one["type"], one["msg"], one["loc"], model, path) for one in found]
            raise min(faults, key=lambda fault: (fault.line or 0, fault.column or 0)) from None

    def at(self, path: Keys) -> Json:
        """The value at `path`, which must be there."""
        value: Any = self.value
        for part in path:
            value = value[part]
        found: Json = value
        return found

    def _described(self, kind: str, message: str, inner: Keys, model: type[BaseModel], outer: Keys) -> ScenarioError:
        path = (*outer, *inner)
        name = ".".join(str(part) for part in path)
        if kind == "extra_forbidden":
            known = did_you_mean(str(path[-1]), _fields_at(model, inner[:-1]))
            return self.fault(f"unknown key {path[-1]!r}.{known}", path, at_key=True)
        if kind == "missing":
            return self.fault(f"{path[-1]!r} is missing: add it here", path[:-1])
        plain = (
            message.removeprefix("Value error, ")
            .replace("Input should", "should")
            .replace("valid dictionary", "mapping")
        )
        return self.fault(f"{name or 'the file'}: {plain}", path)


def read(file: Path, *, error: type[ScenarioError] = ScenarioError) -> Document:
    """Reads and parses a file. ScenarioError (or `error`) with the place if it cannot be had or is no plain YAML."""
    return parse(_text(file, error), file, error=error)


def parse(text: str, file: Path, *, error: type[ScenarioError] = ScenarioError) -> Document:
    document = Document(file, None, error=error)
    _check_characters(text, document)
    try:
        value = _Reader(document, yaml.parse(text, Loader=yaml.SafeLoader)).read()
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = f"not YAML: {problem.problem or problem.context}{_hint(text, line)}"
        raise error(what, file=file, line=line, column=column) from None
    except ScenarioError:  # a ValueError as well
        raise
    except (yaml.YAMLError, ValueError, IndexError, OverflowError) as problem:
        # PyYAML lets ValueError and its kin escape from odd escapes such as "\U99999999"
        raise error(f"not YAML: {str(problem).splitlines()[0]}", file=file, line=1) from None
    return Document(file, value, document.places, document.keys, error)


def _hint(text: str, line: int) -> str:
    return ". A text with {{ }} needs quotes here" if "{{" in "".join(text.splitlines()[line - 1 : line]) else ""


def _text(file: Path, error: type[ScenarioError]) -> str:
    try:
        size = file.stat().st_size
        if size > LARGEST_FILE:
            raise error(f"the file has {size:,} bytes; at most {LARGEST_FILE:,} are read", file=file)
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(f"not UTF-8 text (byte {problem.start}): save it as UTF-8", file=file) from None
    except OSError as problem:
        raise error(f"cannot be read: {problem.strerror}", file=file) from None


def _check_characters(text: str, document: Document) -> None:
    if len(text) > LARGEST_FILE:
        raise document.error(f"the text is longer than {LARGEST_FILE:,} characters", file=document.file)
    found = re.search(r"[\t\x00-\x08\x0b\x0c\x0e-\x1f]", text)
    if found:
        line, column = text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start())
        what = "a tab: indent with spaces" if found[0] == "\t" else f"control character {found[0]!r}: remove it"
        raise document.error(what, file=document.file, line=line, column=column)


class _Reader:
    def __init__(self, document: Document, events: Iterator[Any]) -> None:
        self.document, self.events = document, events

    def read(self) -> Json:
        next(self.events)  # the start of the stream
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            raise self.fault("the file is empty", event)
        value = self.value(next(self.events), ())
        next(self.events)  # the end of the document
        extra = next(self.events)
        if not isinstance(extra, yaml.StreamEndEvent):
            raise self.fault("a second document (---): one file holds one", extra)
        return value

    def fault(self, message: str, event: Any) -> ScenarioError:
        mark, document = event.start_mark, self.document
        return document.error(message, file=document.file, line=mark.line + 1, column=mark.column + 1)

    def value(self, event: Any, path: Keys) -> Json:
        self.check(event, path)
        block = getattr(event, "style", None) in ("|", ">")
        self.document.places[path] = Place(event.start_mark.line + 1, event.start_mark.column + 1, block)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(path)
        return _scalar(event)

    def check(self, event: Any, path: Keys) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self.fault(f"alias *{event.anchor}: write the value out", event)
        if event.anchor is not None:
            raise self.fault(f"anchor &{event.anchor}: anchors and aliases are not read", event)
        if event.tag is not None:
            raise self.fault(f"tag {event.tag}: tags are not read, write a plain value", event)
        if len(path) > DEEPEST:
            raise self.fault(f"nested more than {DEEPEST} deep", event)

    def mapping(self, path: Keys) -> Json:
        result: dict[str, Json] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, path)
            if key in result:
                first = self.document.keys[(*path, key)].line
                raise self.fault(f"duplicate key {key!r}, first on line {first}: keep one of them", event)
            self.document.keys[(*path, key)] = Place(event.start_mark.line + 1, event.start_mark.column + 1)
            result[key] = self.value(next(self.events), (*path, key))
        return result

    def key(self, event: Any, path: Keys) -> str:
        self.check(event, path)
        key = _scalar(event) if isinstance(event, yaml.ScalarEvent) else None
        if not isinstance(key, str):
            raise self.fault("a key must be text; a text with {{ }} or { } needs quotes", event)
        return key

    def sequence(self, path: Keys) -> Json:
        result: list[Json] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            result.append(self.value(event, (*path, len(result))))
        return result


def _scalar(event: Any) -> Json:
    text: str = event.value
    if event.style is not None:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _fields_at(model: object, path: Keys) -> list[str]:
    """The keys that the model has at `path`: what the author may have meant."""
    for part in path:
        model = _inner(model, part)
    found = _model_of(model)
    return [info.alias or name for name, info in found.model_fields.items()] if found else []


def _inner(annotation: object, part: str | int) -> object:
    found = _model_of(annotation)
    if found:
        by_key = {info.alias or name: info.annotation for name, info in found.model_fields.items()}
        return by_key.get(str(part))
    for option in _options(annotation):
        arguments = typing.get_args(option)
        if arguments:
            return arguments[1] if typing.get_origin(option) is dict else arguments[0]
    return None


def _model_of(annotation: object) -> type[BaseModel] | None:
    models = (option for option in _options(annotation) if isinstance(option, type) and issubclass(option, BaseModel))
    return next(models, None)


def _options(annotation: object) -> tuple[object, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)
