"""Estimators against numbers that others published or that can be had in another way."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from corrigym.studies.contrasts import contrast
from corrigym.studies.intervals import correlation_within, rate_of
from corrigym.studies.multiplicity import corrected
from corrigym.studies.survival import first_attempts

ARMS = {"a": 1, "b": -1}


def outcomes(rows: Sequence[tuple[str, str, bool | None]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["cluster", "contrast", "y"])
    return table.assign(y=table["y"].astype("boolean"))


def test_none_of_a_hundred_worlds_is_at_most_3_7_percent() -> None:
    found = rate_of(pd.Series([False] * 100, dtype="boolean"), pd.Series([f"w{i}" for i in range(100)]), alpha=0.05)
    assert (found.positive, found.scored, found.low) == (0, 100, 0.0)
    assert found.high == pytest.approx(0.0370, abs=5e-4)


def test_repeats_of_one_world_without_a_positive_count_as_one() -> None:
    worlds = pd.Series([f"w{i // 10}" for i in range(100)])
    found = rate_of(pd.Series([False] * 100, dtype="boolean"), worlds, alpha=0.05)
    assert found.effective == 10
    assert found.high > 0.25 > 0.04 > found.plain_high


def test_worlds_that_always_agree_are_worth_their_number() -> None:
    values = pd.Series([bool(i // 5 % 2) for i in range(200)], dtype="boolean")
    found = rate_of(values, pd.Series([f"w{i // 5}" for i in range(200)]), alpha=0.05)
    assert 34 < found.effective < 40
    assert correlation_within([(values, pd.Series([f"w{i // 5}" for i in range(200)]))]) == pytest.approx(1.0)


def test_unknown_outcomes_are_not_counted_as_negative() -> None:
    found = rate_of(pd.Series([True, None, None], dtype="boolean"), pd.Series(["a", "b", "c"]), alpha=0.05)
    assert (found.positive, found.scored, found.rate) == (1, 1, 1.0)
    nothing = rate_of(pd.Series([None], dtype="boolean"), pd.Series(["a"]), alpha=0.05)
    assert (nothing.scored, nothing.low, nothing.high) == (0, 0.0, 1.0)


@given(some.lists(some.tuples(some.integers(0, 8), some.sampled_from([True, False, None])), min_size=1, max_size=60))
def test_an_interval_is_never_a_point_and_always_holds_the_rate(rows: list[tuple[int, bool | None]]) -> None:
    values, worlds = pd.Series([y for _, y in rows], dtype="boolean"), pd.Series([f"w{w}" for w, _ in rows])
    found = rate_of(values, worlds, alpha=0.05)
    assert 0 <= found.low < found.high <= 1
    if found.scored:
        assert found.low - 1e-12 <= found.rate <= found.high + 1e-12
        assert found.low <= found.plain_low + 1e-12


def test_a_paired_difference_is_the_t_interval_over_worlds() -> None:
    draw = np.random.default_rng(3)
    rows = [(f"w{w}", arm, bool(draw.random() < chance)) for w in range(40) for arm, chance in (("a", 0.6), ("b", 0.3))
            for _ in range(3)]  # fmt: skip
    table = outcomes(rows)
    found = contrast(table, "y", ARMS, alpha=0.05)
    means = table.assign(y=table["y"].astype(float)).groupby(["contrast", "cluster"])["y"].mean()
    expected = stats.ttest_rel(means["a"], means["b"])
    assert found.method == "t"
    assert found.estimate == pytest.approx(float((means["a"] - means["b"]).mean()))
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p == pytest.approx(float(expected.pvalue), abs=0.01)
    assert found.odds.method == "gee"
    share = table.groupby("contrast")["y"].mean()
    plain = share["a"] / (1 - share["a"]) / (share["b"] / (1 - share["b"]))
    assert found.odds.ratio == pytest.approx(float(plain), rel=1e-6)


def test_no_positive_anywhere_is_no_proof_of_no_difference() -> None:
    found = contrast(outcomes([(f"w{w}", arm, False) for w in range(30) for arm in ARMS]), "y", ARMS, alpha=0.05)
    assert (found.estimate, found.p, found.method) == (0.0, 1.0, "mover")
    assert found.low < -0.1
    assert found.high > 0.1
    assert found.odds.method == "haldane"
    assert found.odds.low < 1 < found.odds.high


def test_only_worlds_with_both_arms_are_compared() -> None:
    rows: list[tuple[str, str, bool | None]] = [
        ("w1", "a", True),
        ("w1", "b", None),
        ("w2", "a", True),
        ("w3", "b", False),
    ]
    found = contrast(outcomes(rows), "y", ARMS, alpha=0.05)
    assert (found.worlds, found.method) == (0, "unscored")
    assert np.isnan(found.estimate)
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_what_all_arms_of_a_world_share_cancels_in_a_difference_of_differences() -> None:
    weights = {"p": 1, "q": -1, "r": -1, "s": 1}
    rows: list[tuple[str, str, bool | None]] = [(f"w{w}", arm, w % 2 == 0) for w in range(20) for arm in weights]
    rows += [(f"v{w}", arm, arm == "p") for w in range(20) for arm in weights]
    found = contrast(outcomes(rows), "y", weights, alpha=0.05)
    assert found.estimate == pytest.approx(0.5)
    assert found.p < 0.001


def test_holm_and_benjamini_hochberg_leave_out_what_is_not_known() -> None:
    holm, rate_ = corrected([0.01, float("nan"), 0.04, 0.03])
    assert holm == pytest.approx([0.03, float("nan"), 0.06, 0.06], nan_ok=True)
    assert rate_ == pytest.approx([0.03, float("nan"), 0.04, 0.04], nan_ok=True)


def test_first_attempts_add_up_and_a_limit_is_no_end_without_one() -> None:
    table = pd.DataFrame({
        "scored": True, "interference": pd.array([True, True, False, False], dtype="boolean"),
        "cluster": ["a", "b", "c", "d"], "steps": pd.array([9, 9, 9, 3], dtype="Int64"),
        "first_attempt": pd.array([2, 5, None, None], dtype="Int64"),
        "reason": ["submitted", "submitted", "submitted", "submitted"],
    })  # fmt: skip
    share = first_attempts(table, alpha=0.05).set_index("step")["share"]
    assert [share[1], share[2], share[5], share[9]] == pytest.approx([0, 0.25, 0.5, 0.5])
    limited = first_attempts(table.assign(reason=["submitted"] * 3 + ["step_limit"]), alpha=0.05).set_index("step")[
        "share"
    ]
    assert limited[5] == pytest.approx(1 - 0.75 * (1 - 1 / 2))
