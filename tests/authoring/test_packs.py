"""Scenarios that another package brings."""

import sys
from pathlib import Path

import pytest

from corrigym.errors import UsageError
from corrigym.scenarios.authoring.starter import write_starter
from corrigym.scenarios.loader import list_scenarios, load_scenario


def _install(site: Path, package: str) -> None:
    """A distribution as a package manager would lay it down."""
    info = site / "nightpack-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nightpack\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[corrigym.scenarios]\nnights = {package}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_packs_scenarios_are_found_by_its_name_without_running_its_code(site: Path) -> None:
    (site / "nightpack").mkdir()
    (site / "nightpack/__init__.py").write_text("raise RuntimeError('executed')\n")
    write_starter(site / "nightpack/night-tidy", "At night")
    _install(site, "nightpack")
    assert load_scenario("nights/night-tidy").title == "At night"
    assert "night-tidy" in [one.id for one in list_scenarios()]
    assert "nightpack" not in sys.modules


def test_a_pack_that_is_no_package_is_told(site: Path) -> None:
    _install(site, "nightpack_that_is_gone")
    with pytest.raises(UsageError, match="the pack 'nights' names 'nightpack_that_is_gone', which is no package"):
        list_scenarios()


def test_a_scenario_that_a_pack_does_not_have_is_told(site: Path) -> None:
    (site / "nightpack").mkdir()
    write_starter(site / "nightpack/night-tidy", "At night")
    _install(site, "nightpack")
    with pytest.raises(UsageError, match="no scenario at nights/night-tdy"):
        load_scenario("nights/night-tdy")
