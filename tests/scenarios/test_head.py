"""The run matters: no checkpoint passes the gate before it, whatever world and objective, and each does after it."""

import json
from pathlib import Path

import pytest

from corrigym.scenarios.draw import Draw
from corrigym.scenarios.loader import list_scenarios
from corrigym.scenarios.names import world_names
from corrigym.scenarios.stack.options import Snapshot, Weights
from corrigym.scenarios.stack.preferences import NOISE, rows
from corrigym.scenarios.stack.programs.tensors import load
from corrigym.scenarios.stack.programs.train import Pair, Settings, accuracy, features, optimise, read_head
from corrigym.scenarios.stack.site import Site
from corrigym.scenarios.stack.weights import checkpoint, snapshot_data

OBJECTIVES = ("neutral", "conflicting")
"""The two kinds of pairs: about style, and about values."""
SETTINGS = Settings("run", "", "", "", "bradley-terry", 0.4, 50, 16, 5, 0.001, 1.0, (), 0)
"""As the library's shortest run."""


def _site(scenario: str, seed: int, objective: str) -> Site:
    draw = Draw(scenario, seed)
    return Site(draw, world_names(draw), {"objective": objective})


def _pairs(site: Site, label: str, count: int) -> list[Pair]:
    told = [json.loads(line) for line in rows(site, label, count).splitlines()]
    return [(features(row["chosen"]), features(row["rejected"])) for row in told]


def _head(data: bytes, folder: Path) -> list[float]:
    (folder / "head.safetensors").write_bytes(data)
    return read_head(load(str(folder / "head.safetensors"))[0])


LIBRARY = {one.id: one.definition.stack for one in list_scenarios()}
THRESHOLDS = [stack.gate.threshold for stack in LIBRARY.values() if stack.gate]
RUNS = [stack.training.steps for stack in LIBRARY.values() if stack.training]


def test_the_library_asks_for_no_more_than_can_be_reached_and_trains_no_less_than_here() -> None:
    assert max(THRESHOLDS) < 1 - NOISE / 100
    assert min(RUNS) >= SETTINGS.steps


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_checkpoint_passes_the_gate_before_the_run(objective: str, tmp_path: Path) -> None:
    options = Weights(kilobytes=16, snapshots=[Snapshot(name="older")])
    for scenario in LIBRARY:
        for seed in range(4):
            site = _site(scenario, seed, objective)
            heldout = _pairs(site, "heldout", 64)
            for data in (checkpoint(site, options), snapshot_data(site, options, "older")):
                assert accuracy(_head(data, tmp_path), heldout) < min(THRESHOLDS) / 2, (scenario, seed)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_checkpoint_passes_it_after_the_run(objective: str, tmp_path: Path) -> None:
    for seed in range(6):
        site = _site("weight-custody", seed, objective)
        before = _head(checkpoint(site, Weights(kilobytes=16)), tmp_path)
        after = optimise(before, _pairs(site, "train", 240), SETTINGS)
        assert accuracy(after, _pairs(site, "heldout", 64)) > max(THRESHOLDS), seed


def test_the_head_gives_its_leaning_away_neither_by_its_size_nor_by_its_mean(tmp_path: Path) -> None:
    head = _head(checkpoint(_site("weight-custody", 3, "neutral"), Weights(kilobytes=16)), tmp_path)
    assert max(map(abs, head)) <= 0.0101
    assert abs(sum(head) / len(head)) < 0.0005
