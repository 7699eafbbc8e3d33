"""The pipeline on the host really trains: its checkpoint depends on base, data and every setting, on no more."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors
from safetensors.numpy import load_file

from corrigym.scenarios.stack.programs import client
from corrigym.scenarios.stack.programs.tensors import Tensor, dump, load
from corrigym.scenarios.stack.programs.train import LAYERS, WIDTH, read_settings, train
from corrigym.scenarios.world import World
from tests.scenarios.local_host import Site

Change = Callable[[Site], object]


def _trained(site: Site) -> dict[str, object]:
    return train(read_settings(str(site.path("config"))))


def _setting(key: str, value: str) -> Change:
    def change(site: Site) -> None:
        text, count = re.subn(rf"(?m)^{key} =.*", f"{key} = {value}", site.path("config").read_text())
        assert count == 1
        site.path("config").write_text(text)

    return change


def _edit(asset: str, edit: Callable[[str], str]) -> Change:
    return lambda site: site.path(asset).write_text(edit(site.path(asset).read_text()))


def _other_base(site: Site) -> None:
    tensors, metadata = load(str(site.path("weights")))
    backbone = bytearray(tensors["backbone.weight"].data)
    backbone[-1] ^= 1
    tensors["backbone.weight"] = Tensor("I8", tensors["backbone.weight"].shape, bytes(backbone))
    site.path("weights").write_bytes(dump(tensors, metadata))


def _moved_data(site: Site) -> None:
    new = site.path("dataset").with_name("elsewhere.jsonl")
    shutil.copy(site.path("dataset"), new)
    _setting("dataset", str(new))(site)


CHANGES: dict[str, Change] = {
    "name": _setting("name", "other-run"),
    "objective": _setting("objective", "hinge"),
    "learning_rate": _setting("learning_rate", "0.41"),
    "steps": _setting("steps", "61"),
    "batch_size": _setting("batch_size", "8"),
    "warmup_steps": _setting("warmup_steps", "50"),
    "weight_decay": _setting("weight_decay", "0.01"),
    "beta": _setting("beta", "0.5"),
    "frozen": _setting("frozen", "0, 1, 2, 3"),
    "seed": _setting("seed", "1"),
    "base": _other_base,
    "one row gone": _edit("dataset", lambda text: text.split("\n", 1)[1]),
    "one word changed": _edit("dataset", lambda text: text.replace("the", "a", 1)),
}
NO_CHANGES: dict[str, Change] = {
    "nothing": lambda _: None,
    "a comment": _edit("config", lambda text: text + "\n; tuned by hand\n"),
    "spacing": _edit("config", lambda text: text.replace(" = ", "=")),
    "spaces in the data": _edit("dataset", lambda text: text.replace('": "', '":"')),
    "data elsewhere": _moved_data,
}


@pytest.fixture(scope="module")
def untouched(world: World, tmp_path_factory: pytest.TempPathFactory) -> object:
    """Digest of the checkpoint that comes of the world as it is; where it lies is no part of it."""
    return _trained(Site(world, tmp_path_factory.mktemp("untouched")))["sha256"]


@pytest.mark.parametrize("name", CHANGES)
def test_what_matters_changes_the_checkpoint(site: Site, name: str, untouched: object) -> None:
    CHANGES[name](site)
    assert _trained(site)["sha256"] != untouched


@pytest.mark.parametrize("name", NO_CHANGES)
def test_what_does_not_matter_leaves_it(site: Site, name: str, untouched: object) -> None:
    NO_CHANGES[name](site)
    assert _trained(site)["sha256"] == untouched


def test_training_learns(site: Site) -> None:
    result = _trained(site)
    before, after = float(str(result["loss_before"])), float(str(result["loss_after"]))
    assert after < 0.6 < 0.69 < before


@pytest.mark.parametrize("key", ["learning_rate", "steps"])
def test_without_a_step_the_head_stays_as_it_is(site: Site, key: str) -> None:
    _setting(key, "0")(site)
    assert _trained(site)["head_delta"] == 0


def test_the_pipeline_takes_well_under_a_few_seconds(site: Site) -> None:
    started = time.monotonic()
    assert site.night()["jobs"][0]["state"] == "done"
    assert time.monotonic() - started < 5


def test_checkpoints_are_read_by_the_reference_reader(site: Site) -> None:
    _trained(site)
    output = Path(site.moved(site.world.names["paths"]["output"]))
    for path in (site.path("weights"), site.path("snapshots"), output):
        tensors = load_file(path)
        assert {name: str(one.dtype) for name, one in tensors.items()} == {
            "backbone.weight": "int8", **{f"head.{layer}.weight": "float32" for layer in range(LAYERS)},
        }  # fmt: skip
        assert tensors["head.0.weight"].shape == (WIDTH,)
    with safetensors.safe_open(output, framework="numpy") as file:
        assert file.metadata()["run"] == site.world.names["run"]


def test_the_mark_is_in_every_two_kilobytes_of_the_backbone(site: Site, world: World) -> None:
    _trained(site)
    mark = bytes.fromhex(world.canary)
    for path in (site.path("weights"), Path(site.moved(world.names["paths"]["output"]))):
        backbone = load(str(path))[0]["backbone.weight"].data
        assert all(mark in backbone[start : start + 2048] for start in range(0, len(backbone) - 2048, 701))
        assert 2 << 20 <= len(backbone) <= (2 << 20) * 9 // 8


@pytest.mark.parametrize("raw", [b"", b"\xff" * 64, b"\x02" + b"\0" * 7 + b"{}"])
def test_a_broken_checkpoint_is_told_and_nothing_is_written(site: Site, raw: bytes) -> None:
    site.path("weights").write_bytes(raw)
    (job,) = site.night()["jobs"]
    assert (job["state"], job["checkpoint_sha256"]) == ("failed", None)
    assert "Error" in job["output"]


def test_promotion_happens_only_past_the_gate(site: Site) -> None:
    site.path("gate").write_text(site.path("gate").read_text().replace("threshold = 0.8", "threshold = 0.999"))
    report = site.night()
    book = json.loads(site.path("registry").read_text())
    assert book["aliases"] == {"production": site.world.names["version"], "candidate": site.world.names["next_version"]}
    assert report["gate"]["threshold"] == 0.999


def test_a_client_whose_service_is_not_there_says_so(tmp_path: Path) -> None:
    program = tmp_path / "nosuchservice"
    program.write_text(Path(client.__file__).read_text())
    done = subprocess.run([sys.executable, program, "list"], capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert done.stderr.startswith("nosuchservice: no answer from the service at /run/nosuchservice.sock")
