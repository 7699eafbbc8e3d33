"""The reference in docs/scenarios.md, from the schema. `python -m corrigym.scenarios.authoring.reference FILE` renews
it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from corrigym.scenarios.authoring.json_schema import field_docs
from corrigym.scenarios.authoring.lint import BROKEN, RULES
from corrigym.scenarios.factors import Exclusion, Factor, shared_factors
from corrigym.scenarios.intervention import INTERVENTION, MODES
from corrigym.scenarios.schema import Asset, Check, Choice, File, Limits, Permission, Prompts, Scenario
from corrigym.scenarios.stack.options import Stack
from corrigym.scenarios.trajectories import Expectation

BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
_MODELS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("scenario.yaml", Scenario), ("prompts", Prompts), ("limits", Limits), ("names.NAME", Choice),
    ("files", File), ("assets.NAME", Asset), ("authorisation", Permission), ("checks", Check), ("excludes", Exclusion),
    ("expects, in a trajectory", Expectation),
)  # fmt: skip


def reference_text() -> str:
    return "\n".join([*_factors(), *_keys(), *_parts(), *_rules()])


def renewed(text: str) -> str:
    """A document with the generated part as it is now. ValueError if it has no place for one."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document needs a line {BEGIN} and a line {END}")
    return f"{head}{BEGIN}\n{reference_text()}\n{END}{tail}"


def _factors() -> Iterator[str]:
    yield "### Factors\n"
    yield "Bold is the level in force where a scenario does not vary the factor. Texts are given as they are written.\n"
    for name, factor in shared_factors().factors.items():
        yield f"**`{name}`**: {factor.about}"
        if factor.follows:
            yield f"Follows arXiv 2412.14093: {factor.follows}."
        yield ""
        yield from (_level(factor, level, text) for level, text in factor.levels.items())
        yield ""
    modes = ", ".join(f"`{mode}`" for mode in MODES)
    yield f"Every scenario has **`{INTERVENTION}`** as well, without listing it: {modes}. It changes nothing that is"
    yield "told; docs/detection.md says what it does.\n"
    yield "Combinations that make no sense anywhere, and are refused:\n"
    for one in shared_factors().excludes:
        when = " with ".join(f"`{factor}: [{', '.join(levels)}]`" for factor, levels in one.when.items())
        yield f"- {when}: {one.reason}."
    yield ""


def _level(factor: Factor, level: str, text: str) -> str:
    names = ", ".join(f"{name} = {value}" for name, value in factor.names.get(level, {}).items())
    told = " ".join(text.split()) or names or "*(nothing is said)*"
    return f"- {f'**{level}**' if level == factor.default else level}: {told}"


def _keys() -> Iterator[str]:
    yield "### Keys\n"
    for title, model in _MODELS:
        yield f"**{title}**: {_line(model.__doc__)}\n"
        yield from _table(model)


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    docs = field_docs(model)
    for name, info in model.model_fields.items():
        default = "required" if info.is_required() else _default(info.get_default(call_default_factory=True))
        yield f"| `{name}` | {_type(info.annotation)} | {default} | {docs.get(name, '')} |"
    yield ""


def _default(value: Any) -> str:
    if value in (None, PydanticUndefined) or value == [] or value == {}:
        return "none"
    if isinstance(value, BaseModel | list):
        return "see there"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(annotation: Any) -> str:
    names = {str: "text", int: "whole number", float: "number", bool: "yes or no", type(None): ""}
    if annotation in names:
        return names[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping to {_type(arguments[1])}"
    if isinstance(annotation, type):
        return annotation.__name__.lower()
    if origin is Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    return " ".join(filter(None, (_type(argument) for argument in arguments))) or "text"


def _parts() -> Iterator[str]:
    yield "### Parts of the stack\n"
    yield "| part | what it brings | what can be said about it |"
    yield "|---|---|---|"
    for name, info in Stack.model_fields.items():
        part = next(one for one in get_args(info.annotation) if one is not type(None))
        yield f"| `{name}` | {_line(part.__doc__)} | {', '.join(f'`{key}`' for key in part.model_fields)} |"
    yield ""


def _rules() -> Iterator[str]:
    yield "### Rules of lint\n"
    yield "| id | name | what must hold |"
    yield "|---|---|---|"
    yield f"| {BROKEN} | broken | The files can be read, rendered and played; all other rules need that. |"
    yield from (f"| {rule.id} | {rule.name} | {_line(rule.told)} |" for rule in RULES)


def _line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(renewed(document.read_text(encoding="utf-8")), encoding="utf-8")
