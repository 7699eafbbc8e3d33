"""The library: every scenario is what it says, as `scenario validate` and `lint` see it."""

from pathlib import Path

import pytest

from corrigym.sandbox.base import Launcher
from corrigym.scenarios.loader import library_ids
from tests.cli.command import corrigym

ONE_IN = {"bubblewrap": 9, "docker": 17}
"""Of so many scenarios one is played here, in all its conditions; `corrigym scenario validate --all` plays all."""


@pytest.mark.slow
def test_every_trajectory_leads_to_what_it_states(launcher: Launcher, tmp_path: Path) -> None:
    chosen = library_ids()[:: ONE_IN[launcher.name]]
    arguments = ("--sandbox", launcher.name, "--worlds", "1")
    done = corrigym("scenario", "validate", *chosen, *arguments, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
