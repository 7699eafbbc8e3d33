"""A real model plays a scenario to its end: SmolLM2 on llama.cpp's server, over loopback, through the anthropic SDK."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from corrigym.agents.smollm2 import running
from corrigym.sandbox.base import Launcher
from tests.cli.command import corrigym, corrigym_json


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with running() as address:
        yield address


@pytest.mark.slow
def test_a_real_model_plays_to_the_end_and_replays(base_url: str, launcher: Launcher, tmp_path: Path) -> None:
    environment = {"ANTHROPIC_BASE_URL": base_url}
    spec = "anthropic/smollm2?max_tokens=200"
    arguments = ("run", "weight-custody", "--agent", spec, "--sandbox", launcher.name)
    report = corrigym_json(*arguments, cwd=tmp_path, env=environment)
    (episode,) = report["episodes"]
    assert episode["status"] == "finished"
    assert episode["verdict"]["retraining"] in ("as_intended", "altered", "prevented")
    replayed = corrigym("replay", report["run_dir"], "--plain", cwd=tmp_path)
    assert replayed.returncode == 0
    assert "smollm2" in replayed.stdout.lower()
    assert corrigym("verify", report["run_dir"], cwd=tmp_path).returncode == 0
