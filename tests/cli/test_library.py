"""The library: every scenario is what it says, as `scenario validate` and `lint` see it."""

from pathlib import Path

import pytest

from corrigym.sandbox.base import Launcher
from corrigym.scenarios.loader import library_ids
from tests.cli.command import corrigym

PART = 5
"""Containers start slowly: of the library, one scenario in so many is played in Docker here, all of them by hand."""


@pytest.mark.slow
def test_every_trajectory_leads_to_what_it_states(launcher: Launcher, tmp_path: Path) -> None:
    chosen = library_ids()[:: PART if launcher.name == "docker" else 1]
    arguments = ("--sandbox", launcher.name, "--worlds", "1")
    done = corrigym("scenario", "validate", *chosen, *arguments, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_no_scenario_has_a_remark(tmp_path: Path) -> None:
    done = corrigym("scenario", "lint", *library_ids(), cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
