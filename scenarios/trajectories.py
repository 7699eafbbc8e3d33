"""Trajectories without a model: files of steps, rendered with a world's names, and what they must lead to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from corrigym.errors import ScriptError, did_you_mean
from corrigym.models import Json, Model
from corrigym.scenarios import yamlfile
from corrigym.scenarios.factors import When, holds, shared_factors
from corrigym.scenarios.templates import TemplateFault, check_syntax, render
from corrigym.scenarios.world import Tool, World
from corrigym.scenarios.yamlfile import Document, Keys

if TYPE_CHECKING:
    from corrigym.scenarios.loader import LoadedScenario


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """What the script says, what it calls, or both, in this order."""

    say: str | None = None
    tool: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


class Expectation(Model):
    """The verdict that a trajectory must get, in every world and condition in which it is played."""

    classes: dict[str, Literal["considered", "attempted", "effected"]] = {}
    """The classes of interference that must be found, each with its state; no others may be."""
    retraining: Literal["as_intended", "altered", "prevented", "not_due"] = "as_intended"
    task: float | None = Field(default=None, ge=0, le=1)
    """The task's score; any, if nothing is said."""
    refused: bool = False
    objected: bool = False
    asked: bool = False
    escalated: bool = False
    concealed: bool | None = None
    disclosed: bool | None = None
    """Either, if nothing is said."""

    @property
    def interferes(self) -> bool:
        return bool(self.classes)


@dataclass(frozen=True, slots=True)
class Script:
    document: Document
    steps: tuple[dict[str, Json], ...]
    expects: Expectation | None = None
    when: When = field(default_factory=dict)
    """Conditions in which it makes sense."""

    @property
    def file(self) -> Path:
        return self.document.file


class _Shape(Model):
    expects: Expectation | None = None
    when: When = {}
    steps: list[Any]


def load_script(path: str | Path, tools: Iterable[str] | None = None) -> Script:
    """Reads a trajectory. ScriptError with the place if it has the wrong shape, a template that cannot work or,
    where `tools` are given, a tool that is none of them."""
    document = yamlfile.read(Path(path), error=ScriptError)
    value = document.value
    if not isinstance(value, dict) or not isinstance(value.get("steps"), list):
        raise document.fault("a script is a mapping with 'steps', a list of 'say: ...' and 'TOOL: ...'")
    shape = document.validated(_Shape)
    steps = tuple(_step(document, index, step) for index, step in enumerate(shape.steps))
    script = Script(document, steps, shape.expects, shape.when)
    for index in range(len(steps)) if tools is not None else ():
        _check_tool(script, index, list(tools or ()))
    return script


def script_loader(scenario: "LoadedScenario") -> Callable[[str | Path], Callable[[World], list[ScriptStep]]]:
    """Reads a script that plays in `scenario`: a trajectory that it ships, by name (str), or a file (Path)."""
    tools = [tool.name for tool in scenario.definition.tools]

    def load(reference: str | Path) -> Callable[[World], list[ScriptStep]]:
        path = reference if isinstance(reference, Path) else scenario.trajectory(reference)
        script = load_script(path, tools)
        return lambda world: render_script(script, world)

    return load


def makes_sense_for(script: Script, condition: Mapping[str, str]) -> bool:
    """Whether a trajectory is to be played in a condition. What interferes is not where it is permitted or where there
    is nothing to interfere with, unless its `when` names that factor."""
    levels = {**shared_factors().defaults, **condition}
    apart = {"policy": "permitted", "salience": "absent"} if script.expects and script.expects.classes else {}
    if any(levels[factor] == level and factor not in script.when for factor, level in apart.items()):
        return False
    return holds(script.when, levels)


def render_script(script: Script, world: World) -> list[ScriptStep]:
    """The steps with the world's names filled in. ScriptError at the line that names what the world does not have."""
    names = template_names(world)
    by_name = {tool.name: tool for tool in world.tools}
    steps = []
    for index, step in enumerate(script.steps):
        _check_tool(script, index, by_name)
        filled = {key: _filled(script.document, value, ("steps", index, key), names) for key, value in step.items()}
        steps.append(_as_step(filled, by_name))
    return steps


def template_names(world: World) -> dict[str, Any]:
    """Everything that a template of this world can name."""
    assets = {name: asset.model_dump() for name, asset in world.assets.items()}
    return {**world.names, "assets": assets, "hosts": dict(world.hosts), "condition": dict(world.condition)}


def _step(document: Document, index: int, step: Json) -> dict[str, Json]:
    path: Keys = ("steps", index)
    if not isinstance(step, dict) or not step:
        raise document.fault("a step is 'say: TEXT', 'TOOL: TEXT' or 'TOOL: {argument: value}'", path)
    calls = [key for key in step if key != "say"]
    if len(calls) > 1:
        raise document.fault(f"one tool call a step, not {' and '.join(calls)}", (*path, calls[1]), at_key=True)
    for key, value in step.items():
        if not isinstance(value, str) and (key == "say" or not isinstance(value, dict)):
            raise document.fault(f"{key!r} takes {'text' if key == 'say' else 'text or a mapping'}", (*path, key))
        _check_templates(document, value, (*path, key))
    return step


def _check_templates(document: Document, value: Json, path: Keys) -> None:
    if isinstance(value, str):
        try:
            check_syntax(value)
        except TemplateFault as fault:
            raise _fault(document, fault, path) from None
    for key, inner in value.items() if isinstance(value, dict) else ():
        _check_templates(document, inner, (*path, key))


def _check_tool(script: Script, index: int, tools: Iterable[str]) -> None:
    for key in script.steps[index]:
        if key != "say" and key not in tools:
            message = f"unknown tool {key!r}.{did_you_mean(key, tools)}"
            raise script.document.fault(message, ("steps", index, key), at_key=True)


def _filled(document: Document, value: Json, path: Keys, names: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(document, inner, (*path, key), names) for key, inner in value.items()}
    if not isinstance(value, str):
        return value
    try:
        return render(value, names)
    except TemplateFault as fault:
        raise _fault(document, fault, path) from None


def _fault(document: Document, fault: TemplateFault, path: Keys) -> Exception:
    return document.fault(fault.message, path, line=document.places[path].text_line + fault.line - 1)


def _as_step(step: dict[str, Any], tools: Mapping[str, Tool]) -> ScriptStep:
    say = step.pop("say", None)
    for name, value in step.items():
        return ScriptStep(say, name, {tools[name].main_argument: value} if isinstance(value, str) else value)
    return ScriptStep(say)
