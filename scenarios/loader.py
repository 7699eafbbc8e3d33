"""From a reference (a library id or a path) to a scenario that has been checked as far as files alone allow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corrigym.errors import ScenarioError, UsageError, did_you_mean
from corrigym.models import Json
from corrigym.scenarios import yamlfile
from corrigym.scenarios.factors import FACTORS, reason_against, shared_factors
from corrigym.scenarios.intervention import INTERVENTION
from corrigym.scenarios.packs import pack_scenarios
from corrigym.scenarios.schema import Scenario
from corrigym.scenarios.templates import TemplateFault, check_syntax
from corrigym.scenarios.trajectories import Script, ScriptStep, load_script, render_script
from corrigym.scenarios.yamlfile import Document, Keys

__all__ = [
    "FACTORS", "LoadedScenario", "Script", "ScriptStep", "list_scenarios", "load_scenario", "load_script",
    "render_script",
]  # fmt: skip

LIBRARY = Path(__file__).parent / "library"


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    definition: Scenario
    document: Document
    folder: Path

    @property
    def id(self) -> str:
        return self.definition.id

    @property
    def title(self) -> str:
        return self.definition.title

    @property
    def factors(self) -> dict[str, tuple[str, ...]]:
        return {factor: tuple(levels) for factor, levels in self.definition.factors.items()}

    def has_factor(self, name: str) -> bool:
        return name == INTERVENTION or name in self.factors

    @property
    def wording(self) -> dict[str, dict[str, str]]:
        """Factor -> level -> text, as all scenarios share it."""
        return {name: factor.levels for name, factor in shared_factors().factors.items()}

    @property
    def trajectories(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in (self.folder / "trajectories").glob("*.yaml")))

    def trajectory(self, name: str) -> Path:
        """The file of a shipped trajectory. UsageError if there is none of this name."""
        if name not in self.trajectories:
            raise UsageError(f"{self.id} ships no trajectory {name!r}.{did_you_mean(name, self.trajectories)}")
        return inside(self.folder, f"trajectories/{name}.yaml", self.document)

    def file(self, relative: str, path: Keys = ()) -> Path:
        """A file of the scenario's folder, named at `path` of its definition."""
        return inside(self.folder, relative, self.document, path)


def list_scenarios() -> list[LoadedScenario]:
    """The library, by id, and what installed packs bring. ScenarioError if one of its files is broken."""
    return [load_scenario(name) for name in (*library_ids(), *sorted(pack_scenarios()))]


def library_ids() -> list[str]:
    return sorted(path.parent.name for path in LIBRARY.glob("*/scenario.yaml"))


def load_scenario(reference: str) -> LoadedScenario:
    """Loads a scenario by library id, folder or file. UsageError if there is none; ScenarioError if it is broken."""
    file = _find(reference)
    document = yamlfile.read(file)
    definition = document.validated(Scenario)
    scenario = LoadedScenario(definition, document, file.parent)
    _check_factors(scenario)
    _check_conditions(scenario, document.value, ())
    _check_parts(scenario)
    _check_default(scenario)
    _check_files(scenario)
    _check_templates(document, document.value, ())
    return scenario


def inside(folder: Path, relative: str, document: Document, path: Keys = ()) -> Path:
    """`folder/relative`, which may not lead out of the folder, by dots, by an absolute path or by a link."""
    if not relative or Path(relative).is_absolute() or ".." in Path(relative).parts or "\0" in relative:
        raise document.fault(f"{relative!r} leads out of the scenario's folder: name a file inside it", path)
    found = folder / relative
    if not found.resolve().is_relative_to(folder.resolve()):
        raise document.fault(f"{relative!r} is a link out of the scenario's folder: copy the file into it", path)
    if not found.is_file():
        raise document.fault(f"there is no file {relative!r} in {folder}", path)
    return found


def _find(reference: str) -> Path:
    known = library_ids()
    if reference in known:
        return LIBRARY / reference / "scenario.yaml"
    packs = {} if _exists(reference) else pack_scenarios()
    if reference in packs:
        return packs[reference]
    if "/" not in reference and not reference.endswith((".yaml", ".yml")) and not _exists(reference):
        raise UsageError(f"no scenario {reference!r} in the library.{did_you_mean(reference, (*known, *packs))}")
    file = Path(reference)
    file = file / "scenario.yaml" if _exists(reference) and file.is_dir() else file
    if not _exists(str(file)):
        raise UsageError(f"no scenario at {file}: give a library id, a folder with a scenario.yaml, or that file")
    return file


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).exists()
    except (OSError, ValueError):  # too long, or with a NUL: no path at all
        return False


def _check_factors(scenario: LoadedScenario) -> None:
    shared = shared_factors().factors
    for factor, levels in scenario.definition.factors.items():
        place: Keys = ("factors", factor)
        if factor == INTERVENTION:
            raise scenario.document.fault(f"every scenario has {factor!r} without listing it", place, at_key=True)
        if factor not in shared:
            message = f"unknown factor {factor!r}.{did_you_mean(factor, shared)}"
            raise scenario.document.fault(message, place, at_key=True)
        if not levels:
            raise scenario.document.fault(f"factor {factor!r} needs at least one level", place)
        for index, level in enumerate(levels):
            _check_level(scenario, factor, level, (*place, index), shared[factor].levels)
            if level in levels[:index]:
                raise scenario.document.fault(f"level {level!r} is listed twice", (*place, index))


def _check_level(scenario: LoadedScenario, factor: str, level: str, path: Keys, known: Iterable[str]) -> None:
    if level not in known:
        raise scenario.document.fault(f"{factor} has no level {level!r}.{did_you_mean(level, known)}", path)


def _check_conditions(scenario: LoadedScenario, value: Json, path: Keys) -> None:
    """Every `when:` names factors and levels of this scenario."""
    for key, inner in _items(value):
        if key == "when" and isinstance(inner, dict):
            check_when(scenario, inner, (*path, key), scenario.document)
        _check_conditions(scenario, inner, (*path, key))


def check_when(scenario: LoadedScenario, when: Mapping[str, Any], path: Keys, document: Document) -> None:
    """ScenarioError at the place in `document` of what is no factor of this scenario, or no level of one."""
    for factor, levels in when.items():
        if factor not in scenario.factors:
            message = f"{factor!r} is no factor of this scenario.{did_you_mean(factor, scenario.factors)}"
            raise document.fault(message, (*path, factor), at_key=True)
        for index, level in enumerate(levels if isinstance(levels, list) else []):
            if level not in scenario.factors[factor]:
                message = f"{factor} has no level {level!r} here.{did_you_mean(str(level), scenario.factors[factor])}"
                raise document.fault(message, (*path, factor, index))


def _check_parts(scenario: LoadedScenario) -> None:
    there = scenario.definition.stack.model_fields_set
    value = scenario.document.value
    given = value.get("stack_when") if isinstance(value, dict) else None
    for name, when in given.items() if isinstance(given, dict) else ():
        if name not in there:
            message = f"the stack has no part {name!r} here.{did_you_mean(name, there)}"
            raise scenario.document.fault(message, ("stack_when", name), at_key=True)
        assert isinstance(when, dict)
        check_when(scenario, when, ("stack_when", name), scenario.document)


def _check_default(scenario: LoadedScenario) -> None:
    """The first levels make sense together."""
    default = {factor: levels[0] for factor, levels in scenario.factors.items()}
    if reason := reason_against(scenario.definition.excludes, default):
        raise scenario.document.fault(f"the default condition is excluded: {reason}", ("factors",))


def _check_files(scenario: LoadedScenario) -> None:
    for relative, path in named_files(scenario):
        read_template(scenario, relative, path)


def named_files(scenario: LoadedScenario) -> list[tuple[str, Keys]]:
    """The files of the folder that the definition names, each with the place where it does."""
    definition = scenario.definition
    prompts = {"system": definition.prompts.system, "task": definition.prompts.task}
    files = [(file.source, ("files", index, "source")) for index, file in enumerate(definition.files)]
    return [
        *((text, ("prompts", name)) for name, text in prompts.items() if is_file_name(text)),
        *((source, path) for source, path in files if source is not None),
    ]


def is_file_name(text: str) -> bool:
    """Whether a prompt is a file of the folder rather than the text itself: one word, and no template."""
    return len(text.split()) == 1 and "{{" not in text and "{%" not in text


def read_template(scenario: LoadedScenario, relative: str, path: Keys) -> tuple[str, int]:
    """A template of the scenario's folder, without its canary line, and the number of its first line then.
    ScenarioError if it cannot be one."""
    file = scenario.file(relative, path)
    if file.stat().st_size > yamlfile.LARGEST_FILE:
        raise ScenarioError(f"more than {yamlfile.LARGEST_FILE:,} bytes: make it smaller", file=file)
    first = 1
    try:
        whole = file.read_text(encoding="utf-8")
        text = strip_canary(whole)
        first += text != whole
        check_syntax(text)
    except UnicodeDecodeError:
        raise ScenarioError("not UTF-8 text: save it as UTF-8", file=file) from None
    except TemplateFault as fault:
        raise ScenarioError(fault.message, file=file, line=first + fault.line - 1) from None
    return text, first


def strip_canary(text: str) -> str:
    """Without the line that marks a source file of ours, which is its first."""
    lines = text.splitlines(keepends=True)
    if lines and "corrigym-canary" in lines[0]:
        return "".join(lines[1:])
    return text


def _check_templates(document: Document, value: Json, path: Keys) -> None:
    if isinstance(value, str):
        try:
            check_syntax(value)
        except TemplateFault as fault:
            line = document.places[path].text_line + fault.line - 1
            raise document.fault(fault.message, path, line=line) from None
    for key, inner in _items(value):
        _check_templates(document, inner, (*path, key))


def _items(value: Json) -> list[tuple[Any, Json]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []
