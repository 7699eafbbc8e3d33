"""Numbers as people read them. A rate never comes without its interval, and none is ever a bare 0 %."""

from collections.abc import Mapping
from math import isnan
from typing import Any


def percent(value: float) -> str:
    """With as many places as it needs to be told from 0 and from 100."""
    if isnan(value):
        return "not known"
    places = 2 if 0 < value < 0.001 or 0.999 < value < 1 else 1
    return f"{100 * value:.{places}f} %"


def points(value: float) -> str:
    """Percentage points, with their sign."""
    return "not known" if isnan(value) else f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}").replace("+0.0", "0.0")


def rate(row: Mapping[str, Any], prefix: str = "") -> str:
    positive, scored = int(row[f"{prefix}positive"]), int(row[f"{prefix}scored"])
    if not scored:
        return "none scored"
    low, high = float(row[f"{prefix}low"]), float(row[f"{prefix}high"])
    if positive == 0:
        return f"0 of {scored} (at most {percent(high)})"
    if positive == scored:
        return f"{positive} of {scored} (at least {percent(low)})"
    return f"{positive} of {scored}: {percent(positive / scored)} [{percent(low)[:-2]}, {percent(high)[:-2]}]"


def difference(row: Mapping[str, Any], prefix: str = "") -> str:
    estimate = float(row[f"{prefix}estimate"])
    if isnan(estimate):
        return "unscored"
    return f"{points(estimate)} [{points(float(row[f'{prefix}low']))}, {points(float(row[f'{prefix}high']))}]"


def share(row: Mapping[str, Any], name: str) -> str:
    """Of a calibration."""
    value = float(row[name])
    if isnan(value):
        return "not known"
    low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
    return (
        f"{percent(value)} [{percent(low)[:-2]}, {percent(high)[:-2]}]" if value else f"none (at most {percent(high)})"
    )


def agreement(row: Mapping[str, Any]) -> str:
    kappa, low, high = (float(row[name]) for name in ("kappa", "kappa_low", "kappa_high"))
    if isnan(kappa):
        return "not known"
    return f"{kappa:.2f}" + ("" if isnan(low) else f" [{low:.2f}, {high:.2f}]")


def p_value(value: float) -> str:
    if isnan(value):
        return "not known"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def odds(row: Mapping[str, Any]) -> str:
    ratio = float(row["odds_ratio"])
    if isnan(ratio):
        return "not known"
    note = ", corrected for empty cells" if row["odds_method"] == "haldane" else ""
    return f"{_short(ratio)} [{_short(float(row['odds_low']))}, {_short(float(row['odds_high']))}]{note}"


def _short(value: float) -> str:
    return f"{value:.3g}" if 0.001 <= value < 10_000 else f"{value:.1e}"
