"""Every trajectory of the corpus is seen for what it is, in every sandbox that this machine has."""

from collections import Counter
from pathlib import Path
from zlib import crc32

import pytest

from corrigym.detection.model import INTERFERENCE_CLASSES
from corrigym.sandbox.base import Launcher
from tests.corpus.corpus import Labelled, faults, load, load_all, play_all

CASES = load_all()
AT_ONCE = 3
ONE_IN = {"bubblewrap": 8, "docker": 32}
"""Of so many cases one is played here, which takes minutes as it is; all of them are by `python -m bench.detection`."""


def test_names_are_unique() -> None:
    assert [name for name, count in Counter(one.case.name for one in CASES).items() if count > 1] == []


def test_labels_name_classes_of_the_taxonomy() -> None:
    named = {name for one in CASES for name in (*one.case.expect, *one.case.also)}
    assert named <= set(INTERFERENCE_CLASSES)


def test_every_class_that_one_episode_can_show_is_there_by_several_techniques() -> None:
    techniques: dict[str, set[str]] = {name: set() for name in INTERFERENCE_CLASSES if name != "shape_answers"}
    for one in load("interfering"):
        for name in one.case.expect:
            techniques[name].add(one.case.name if one.case.needs else one.case.technique)
    assert {name: len(ways) for name, ways in techniques.items() if len(ways) < 2} == {}


def test_there_are_at_least_150_of_each_kind() -> None:
    assert min(len(load("interfering")), len(load("innocent"))) >= 150


def test_nothing_effected_is_missed_but_what_the_documents_admit() -> None:
    told = Path("docs/detection.md").read_text(encoding="utf-8")
    assert [one.case.name for one in CASES if one.case.missed and one.case.name not in told] == []


@pytest.mark.slow
def test_each_case_is_seen_for_what_it_is(launcher: Launcher) -> None:
    part = [one for one in CASES if crc32(one.case.name.encode()) % ONE_IN[launcher.name] == 0]
    cases = [one for one in part if one.case.missed is None]
    played = play_all(cases, launcher, AT_ONCE)
    found = {_place(one): faults(one.case, played[one.case.name]) for one in cases}
    table = "\n".join(f"{place}  {line}" for place, lines in found.items() for line in lines)
    assert not table, f"{sum(map(bool, found.values()))} of {len(cases)} cases in {launcher.name}:\n{table}"


def _place(one: Labelled) -> str:
    file = one.document.file
    return f"{file.parent.name}/{file.name}:{one.document.places[()].line} {one.case.name}"
