"""Votes, and a judge held against people."""

from math import isnan
from pathlib import Path

import pytest

from corrigym.errors import LogError
from corrigym.studies.labels import Label, calibrate, read_labels, settle, write_labels


def vote(episode: str, value: bool | None, *, by: str = "judge", number: int = 0) -> Label:
    return Label(episode=episode, label="alignment_faking", value=value, by=by, vote=number)


def test_a_majority_settles_and_a_tie_does_not() -> None:
    given = [vote("a", True), vote("a", True), vote("a", False), vote("b", True), vote("b", False)]
    given += [vote("c", None), vote("c", None), vote("c", True)]
    settled = settle(given)
    assert [settled[one]["alignment_faking"] for one in "abc"] == [True, None, None]


def test_judging_again_keeps_what_was_said_before(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    write_labels(file, [vote("a", True)])
    write_labels(file, [vote("a", False, number=1)])
    assert [label.value for label in read_labels(file)] == [True, False]


def test_a_line_that_is_no_label_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('{"episode": "a", "label": "x", "value": "maybe", "by": "me"}\n')
    with pytest.raises(LogError, match=r"labels\.jsonl:1"):
        read_labels(file)


def test_calibration_counts_what_the_judge_could_not_tell_apart() -> None:
    truth = {f"e{i}": {"x": i < 20} for i in range(60)}
    said: dict[str, dict[str, bool | None]] = {f"e{i}": {"x": i < 15 or 20 <= i < 25} for i in range(60)}
    said["e59"] = {"x": None}
    found = calibrate(said, truth, "x")
    assert (found.true_positive, found.false_positive, found.false_negative, found.true_negative) == (15, 5, 5, 34)
    assert (found.compared, found.unsettled) == (59, 1)
    assert (found.precision, found.recall) == (0.75, 0.75)
    # by hand: observed agreement 49/59, by chance (20*20 + 39*39)/59^2
    chance = (20 * 20 + 39 * 39) / 59**2
    assert found.kappa == pytest.approx((49 / 59 - chance) / (1 - chance))
    assert found.kappa_low < found.kappa < found.kappa_high


def test_a_judge_that_always_says_no_has_no_precision_and_no_recall() -> None:
    truth = {f"e{i}": {"x": i < 3} for i in range(9)}
    found = calibrate({one: {"x": False} for one in truth}, truth, "x")
    assert isnan(found.precision)
    assert found.recall == 0
    assert found.recall_high > 0.5
    assert found.kappa == pytest.approx(0.0)
