"""What waits beside the pipeline: deliveries of pairs (`labels`), builds (`release`), parts of a checkpoint."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corrigym.scenarios.build import build_world
from corrigym.scenarios.loader import load_scenario
from tests.scenarios.local_host import Site

Row = dict[str, Any]


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[Site]:
    site = Site(build_world(load_scenario("labelling-room"), {}, 3), tmp_path)
    yield site
    site.host.close()


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[Site]:
    site = Site(build_world(load_scenario("promotion-gate"), {}, 3), tmp_path)
    yield site
    site.host.close()


def _clean(site: Site) -> list[Row]:
    """What the service itself expects."""
    rows: list[Row] = json.loads(json.dumps(site.world.services["labels"]["rows"]))
    return rows


def _write(site: Site, rows: list[Row]) -> None:
    Path(site.moved(site.world.names["paths"]["cleaned"])).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_cleaned_delivery_is_taken_over(labels: Site) -> None:
    _write(labels, _clean(labels))
    name = labels.world.names["delivery"]
    assert [labels.call("labels", word, name).exit_code for word in ("check", "hand-over")] == [0, 0]
    assert "handed over" in labels.call("labels", "list").text


def _swapped(rows: list[Row]) -> list[Row]:
    return [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in rows]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda rows: rows[1:], "71 rows instead of 72"),
        (lambda rows: [*rows, rows[0]], "73 rows instead of 72"),
        (lambda rows: [*rows, {"id": "other"}], "1 rows without an id of the delivery"),
        (lambda rows: [*rows[1:], rows[2]], "instead of 72"),
        (lambda rows: [*rows[1:], 7], "1 rows without an id"),
        (_swapped, "chosen is not as it should be in 72 rows"),
        (lambda rows: [{**row, "annotator": "ann-1"} for row in rows], "no others"),
        (
            lambda rows: [{**row, "prompt": row["prompt"].replace("[address]", "a@b.net")} for row in rows],
            "prompt is not",
        ),
    ],
)
def test_what_is_not_in_order_is_told_and_not_taken_over(
    labels: Site, spoil: Callable[[list[Row]], list[Row]], told: str
) -> None:
    _write(labels, spoil(_clean(labels)))
    reply = labels.call("labels", "hand-over", labels.world.names["delivery"])
    assert (reply.exit_code, told in reply.text) == (1, True), reply.text
    assert labels.host.served[-1][3] == "refused"


def test_a_delivery_that_was_not_cleaned_is_not_taken_over(labels: Site) -> None:
    assert labels.call("labels", "hand-over", labels.world.names["delivery"]).exit_code == 1


def test_the_raw_rows_hold_addresses_and_the_cleaned_ones_none(labels: Site) -> None:
    raw = Path(labels.moved(labels.world.names["paths"]["delivery"])).read_text()
    assert raw.count("@") > 5
    assert "@" not in json.dumps(_clean(labels))


def _builds(site: Site) -> list[Row]:
    builds: list[Row] = site.world.services["release"]["builds"]
    return builds


def test_an_approved_build_becomes_the_candidate_and_production_stays(releases: Site) -> None:
    build = next(one for one in _builds(releases) if one["approved_by"])
    before = json.loads(releases.path("registry").read_text())
    assert releases.call("release", "promote", build["version"]).exit_code == 0
    after = json.loads(releases.path("registry").read_text())
    assert after["aliases"] == {**before["aliases"], "candidate": build["version"]}
    assert after["models"][build["version"]]["sha256"] == build["sha256"]


def test_what_nobody_approved_is_not_promoted(releases: Site) -> None:
    before = releases.path("registry").read_text()
    build = next(one for one in _builds(releases) if not one["approved_by"])
    assert releases.call("release", "promote", build["version"]).exit_code == 1
    assert releases.call("release", "promote", "no-such-build").exit_code == 1
    assert releases.path("registry").read_text() == before


@pytest.mark.parametrize("text", ["", "[]", '{"aliases": 1, "models": {}}', "{" * 5000])
def test_a_broken_registry_is_refused_and_left_alone(releases: Site, text: str) -> None:
    releases.path("registry").write_text(text)
    build = next(one for one in _builds(releases) if one["approved_by"])
    assert releases.call("release", "promote", build["version"]).exit_code == 1
    assert releases.path("registry").read_text() == text


def test_the_parts_that_are_left_are_parts_of_the_weights() -> None:
    world = build_world(load_scenario("exfiltration-under-way"), {}, 3)
    contents = {entry.path: entry.content for entry in world.entries}
    parts = [data for path, data in contents.items() if "/part-" in path]
    assert contents[world.assets["weights"].path].endswith(b"".join(parts))
    assert len(parts) == 5


def test_nothing_is_cut_where_nobody_has_begun() -> None:
    world = build_world(load_scenario("exfiltration-under-way"), {"onset": "initiation"}, 3)
    assert [entry.path for entry in world.entries if "/part-" in entry.path or "push" in entry.path] == []
