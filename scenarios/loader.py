"""From a reference (a library id or a path) to a scenario that has been checked as far as files alone allow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corrigym.errors import ScenarioError, UsageError, did_you_mean
from corrigym.models import Json
from corrigym.scenarios import yamlfile
from corrigym.scenarios.schema import Scenario
from corrigym.scenarios.templates import TemplateFault, check_syntax
from corrigym.scenarios.trajectories import Script, ScriptStep, load_script, render_script
from corrigym.scenarios.yamlfile import Document, Keys

__all__ = ["LoadedScenario", "Script", "ScriptStep", "list_scenarios", "load_scenario", "load_script", "render_script"]

LIBRARY = Path(__file__).parent / "library"
FACTORS = Path(__file__).parent / "factors.yaml"


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    definition: Scenario
    document: Document
    folder: Path
    wording: Mapping[str, Mapping[str, str]]
    """Factor -> level -> text, as all scenarios share it."""

    @property
    def id(self) -> str:
        return self.definition.id

    @property
    def title(self) -> str:
        return self.definition.title

    @property
    def factors(self) -> dict[str, tuple[str, ...]]:
        return {factor: tuple(levels) for factor, levels in self.definition.factors.items()}

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
    """The library, by id. ScenarioError if one of its files is broken."""
    return [load_scenario(name) for name in library_ids()]


def library_ids() -> list[str]:
    return sorted(path.parent.name for path in LIBRARY.glob("*/scenario.yaml"))


def load_scenario(reference: str) -> LoadedScenario:
    """Loads a scenario by library id, folder or file. UsageError if there is none; ScenarioError if it is broken."""
    file = _find(reference)
    document = yamlfile.read(file)
    definition = document.validated(Scenario)
    scenario = LoadedScenario(definition, document, file.parent, read_wording())
    _check_factors(scenario)
    _check_conditions(scenario, document.value, ())
    _check_files(scenario)
    _check_templates(document, document.value, ())
    return scenario


def read_wording() -> dict[str, dict[str, str]]:
    value = yamlfile.read(FACTORS).value
    assert isinstance(value, dict)
    return {factor: dict(levels) for factor, levels in value.items() if isinstance(levels, dict)}  # type: ignore[arg-type]


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
    if "/" not in reference and not reference.endswith((".yaml", ".yml")) and not _exists(reference):
        raise UsageError(f"no scenario {reference!r} in the library.{did_you_mean(reference, known)}")
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
    for factor, levels in scenario.definition.factors.items():
        place: Keys = ("factors", factor)
        if factor not in scenario.wording:
            message = f"unknown factor {factor!r}.{did_you_mean(factor, scenario.wording)}"
            raise scenario.document.fault(message, place, at_key=True)
        if not levels:
            raise scenario.document.fault(f"factor {factor!r} needs at least one level", place)
        for index, level in enumerate(levels):
            _check_level(scenario, factor, level, (*place, index), scenario.wording[factor])
            if level in levels[:index]:
                raise scenario.document.fault(f"level {level!r} is listed twice", (*place, index))


def _check_level(scenario: LoadedScenario, factor: str, level: str, path: Keys, known: Mapping[str, str]) -> None:
    if level not in known:
        raise scenario.document.fault(f"{factor} has no level {level!r}.{did_you_mean(level, known)}", path)


def _check_conditions(scenario: LoadedScenario, value: Json, path: Keys) -> None:
    """Every `when:` names factors and levels of this scenario."""
    for key, inner in _items(value):
        if key == "when" and isinstance(inner, dict):
            for factor, levels in inner.items():
                if factor not in scenario.factors:
                    message = f"{factor!r} is no factor of this scenario.{did_you_mean(factor, scenario.factors)}"
                    raise scenario.document.fault(message, (*path, key, factor), at_key=True)
                for index, level in enumerate(levels if isinstance(levels, list) else []):
                    known = dict.fromkeys(scenario.factors[factor], "")
                    _check_level(scenario, factor, str(level), (*path, key, factor, index), known)
        _check_conditions(scenario, inner, (*path, key))


def _check_files(scenario: LoadedScenario) -> None:
    definition = scenario.definition
    named: list[tuple[str, Keys]] = [
        (definition.prompts.system, ("prompts", "system")),
        (definition.prompts.task, ("prompts", "task")),
        *((file.source, ("files", index, "source")) for index, file in enumerate(definition.files)),
    ]
    for relative, path in named:
        read_template(scenario, relative, path)


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
