"""What an author can get wrong in a scenario's folder, and what is told then."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from corrigym.errors import ConditionError, ScenarioError, ScriptError, UsageError
from corrigym.scenarios.build import build_world, resolve_condition
from corrigym.scenarios.loader import LIBRARY, LoadedScenario, list_scenarios, load_scenario

Change = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a library scenario that a test may break."""
    return Path(shutil.copytree(LIBRARY / "weight-custody", tmp_path / "mine"))


def _replace(old: str, new: str, file: str = "scenario.yaml") -> Change:
    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return change


def test_a_scenario_is_found_by_id_folder_and_file(folder: Path) -> None:
    found = [load_scenario(name) for name in ("weight-custody", str(folder), str(folder / "scenario.yaml"))]
    assert {one.id for one in found} == {"weight-custody"}
    assert found[1].definition == found[0].definition


def test_every_library_scenario_has_its_folders_name() -> None:
    assert [one.id for one in list_scenarios()] == [one.folder.name for one in list_scenarios()]
    assert "weight-custody" in [one.id for one in list_scenarios()]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("weight-custdy", "Did you mean 'weight-custody'?"),
        ("nowhere/scenario.yaml", "give a library id, a folder"),
        ("", "no scenario ''"),
        ("x" * 5000, "no scenario"),
        ("a\0b/c", "no scenario at"),
    ],
)
def test_a_reference_to_nothing_is_a_usage_error(reference: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_scenario(reference)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (_replace("title:", "titel:"), "scenario.yaml:4:1", "unknown key 'titel'. Did you mean 'title'?"),
        (_replace("oversight: [", "oversigt: ["), "scenario.yaml:10:3", "Did you mean 'oversight'?"),
        (_replace("unmentioned, m", "unmentoned, m"), "scenario.yaml:10:15", "Did you mean 'unmentioned'?"),
        (_replace("[conflicting,", "[neutral,"), "scenario.yaml:11:24", "listed twice"),
        (_replace("[conflicting, neutral]", "[]"), "scenario.yaml:11:14", "at least one level"),
        (_replace("kilobytes: 2048", "kilobytes: 99999999"), "scenario.yaml", "less than or equal to 16384"),
        (_replace("-118d 05:11", "long ago"), "scenario.yaml", "'long ago' is no time"),
        (_replace("files/README.md", "../../README.md"), "scenario.yaml", "leads out of the scenario's folder"),
        (_replace("files/README.md", "/etc/passwd"), "scenario.yaml", "leads out of the scenario's folder"),
        (_replace("files/README.md", "files/REDME.md"), "scenario.yaml", "there is no file 'files/REDME.md'"),
        (_replace("prompts/system.md", "prompts"), "scenario.yaml", "there is no file 'prompts'"),
        (_replace("disclosure: [documents]}", "disclosre: [documents]}"), "scenario.yaml", "no factor of this"),
        (_replace("disclosure: [documents]}", "disclosure: [document]}"), "scenario.yaml", "Did you mean 'documents'?"),
        (_replace("{steps: 40", "{steps: 0"), "scenario.yaml:20:17", "greater than or equal to 1"),
        (_replace("low: 110", "low: 990"), "scenario.yaml", "low (990) is above high (880)"),
        (_replace("{{ snapshots.winter }}", "{{ snapshots.winter"), "scenario.yaml", "template: "),
        (_replace("absent:", "submitted: x\n    absent:"), "scenario.yaml", "exactly one of"),
        (_replace("{{ lab }}", "{{ lab.__class__ }}", "prompts/system.md"), "system.md:2", "out of reach"),
        (_replace("{{ lab }}", "{% include 'x' %}", "files/README.md"), "README.md:4", "include is not allowed"),
    ],
)  # fmt: skip
def test_a_broken_folder_is_one_error_at_load(folder: Path, change: Change, place: str, message: str) -> None:
    change(folder)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(str(folder))
    assert message in str(caught.value)
    assert f"{folder}/" in str(caught.value)
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (_replace("{{ snapshots.winter }}", "{{ snapshots.wintr }}"), "scenario.yaml:", "Did you mean 'winter'?"),
        (_replace("{{ job }}", "{{ jb }}", "prompts/task.md"),
         "task.md:6", "Did you mean 'job'?"),
        (_replace("{{ people.data.n", "{{ people.dta.n", "files/README.md"), "README.md:5", "Did you mean 'data'?"),
        (_replace("{{ home }}/notes.md", "/proc/notes.md"), "scenario.yaml", "a host's files lie below"),
        (_replace("{{ home }}/notes.md", "{{ home }}/../../etc/x"), "scenario.yaml", "a host's files lie below"),
        (_replace("  shard: {", "  job: {"), "scenario.yaml:25:3", "a name that every world has"),
        (_replace("modified: -150d, mode", "owner: nobody, mode"), "scenario.yaml", "no account 'nobody'"),
    ],
)  # fmt: skip
def test_a_name_that_there_is_not_is_one_error_at_build(folder: Path, change: Change, place: str, message: str) -> None:
    change(folder)
    with pytest.raises(ScenarioError) as caught:
        build_world(load_scenario(str(folder)), {}, 0)
    assert message in str(caught.value)
    assert place in str(caught.value)


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "files/README.md").unlink()
    (folder / "files/README.md").symlink_to(tmp_path / "secret")
    with pytest.raises(ScenarioError, match="is a link out of the scenario's folder"):
        load_scenario(str(folder))


def test_conditions_are_completed_by_the_defaults(scenario: LoadedScenario) -> None:
    assert resolve_condition(scenario, {"oversight": "monitored"}) == {
        "oversight": "monitored", "objective": "conflicting", "disclosure": "documents", "target": "own",
        "policy": "unmentioned", "competence": "untold",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [({"overside": "x"}, "Did you mean 'oversight'?"), ({"oversight": "monitord"}, "Did you mean 'monitored'?")],
)
def test_an_unknown_factor_or_level_is_a_condition_error(
    scenario: LoadedScenario, given: dict[str, str], message: str
) -> None:
    with pytest.raises(ConditionError) as caught:
        resolve_condition(scenario, given)
    assert message in str(caught.value)


def test_an_unknown_trajectory_is_a_usage_error(scenario: LoadedScenario) -> None:
    with pytest.raises(UsageError, match="Did you mean 'honest'"):
        scenario.trajectory("honst")


def test_script_errors_are_scenario_errors() -> None:
    assert issubclass(ScriptError, ScenarioError)
