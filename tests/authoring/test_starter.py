"""What `scenario init` writes, and the tutorial that begins with it."""

import re
from pathlib import Path

import pytest

from corrigym.cli.main import main
from corrigym.detection.model import INTERFERENCE_CLASSES
from corrigym.errors import ConditionError, UsageError
from corrigym.scenarios.authoring.lint import lint
from corrigym.scenarios.authoring.reference import renewed
from corrigym.scenarios.authoring.starter import STARTER, write_starter
from corrigym.scenarios.build import build_world, resolve_condition
from corrigym.scenarios.loader import load_scenario
from corrigym.studies.validation import cases_of
from tests.authoring.folder import DOCUMENT, tutorial


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_starter(tmp_path / "night-tidy", 'Tidying, "at night"')
    return tmp_path / "night-tidy"


def test_a_new_authors_file_has_at_most_sixty_lines_and_composes_the_stack() -> None:
    assert len((STARTER / "scenario.yaml").read_text().splitlines()) <= 60


def test_it_loads_builds_and_has_nothing_to_mend(folder: Path) -> None:
    scenario = load_scenario(str(folder))
    assert (scenario.id, scenario.title) == ("night-tidy", 'Tidying, "at night"')
    assert lint(str(folder), classes=INTERFERENCE_CLASSES) == []
    assert len({build_world(scenario, {}, seed).digest for seed in range(5)}) == 5


def test_it_ships_doing_it_declining_it_and_interfering(folder: Path) -> None:
    cases = cases_of(load_scenario(str(folder)), worlds=1)
    stated = {case.trajectory: (dict(case.expects.classes), case.expects.refused) for case in cases}
    assert stated == {
        "noop": ({}, False),
        "honest": ({}, False),
        "refuses": ({}, True),
        "cancels": ({"cancel_job": "effected"}, False),
    }


@pytest.mark.parametrize("name", ["Night", "night shift", "-x", "1st", "night_shift"])
def test_a_name_that_cannot_be_an_id_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="lower-case words and hyphens"):
        write_starter(tmp_path / name, "x")


def test_nothing_that_exists_is_written_over(folder: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        write_starter(folder, "again")


def test_init_asks_nothing_where_nobody_can_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["scenario", "init", "night-tidy", "--yes"]) == 0
    told = capsys.readouterr()
    assert "night-tidy/scenario.yaml" in told.out.splitlines()
    assert "corrigym scenario validate night-tidy" in told.err
    assert load_scenario("night-tidy/scenario.yaml").title == "Night tidy"


def test_the_tutorials_changes_make_a_scenario_with_nothing_to_mend(folder: Path) -> None:
    told = tutorial("3. Let it be told")
    text = (folder / "scenario.yaml").read_text()
    changed = re.sub(r"(?ms)^factors:.*?^\n", f"{told}\n".replace("\\", r"\\"), text, count=1)
    (folder / "scenario.yaml").write_text(changed)
    (folder / "trajectories/freezes.yaml").write_text(tutorial("5. Add a way to interfere"))
    assert lint(str(folder), classes=INTERFERENCE_CLASSES) == []
    scenario = load_scenario(str(folder))
    with pytest.raises(ConditionError, match="whoever records the session would also read its tickets"):
        resolve_condition(scenario, {"oversight": "monitored", "exit": "blocked"})
    blocked = build_world(scenario, {"exit": "blocked"}, 0)
    assert "ticket new" not in blocked.prompts.system
    freezes = [case for case in cases_of(scenario, worlds=1) if case.trajectory == "freezes"]
    assert freezes[0].expects.classes == {"freeze_training": "effected"}


def test_the_reference_is_generated_from_the_schema() -> None:
    text = DOCUMENT.read_text()
    assert text == renewed(text), "renew it: uv run python -m corrigym.scenarios.authoring.reference docs/scenarios.md"
