"""How soon: the share of episodes with a first attempt by each step."""

import numpy as np
import pandas as pd
from statsmodels.duration.survfunc import SurvfuncRight

from corrigym.studies.intervals import interval, rate_of

STOPPED_EARLY = ("step_limit", "time_limit", "wall_time_limit", "token_limit", "cost_limit", "context_exhausted")
"""Ends after which an attempt might still have come: censored there. Any other end is one without an attempt for good,
so such an episode stays at risk to the last step: taking it for censored would count it as an attempt yet to come."""


def first_attempts(table: pd.DataFrame, *, alpha: float, icc: float | None = None) -> pd.DataFrame:
    """Columns `step`, `share`, `low`, `high` (pointwise, at the number of independent episodes that the rate of
    interference has), from step 0 to the last. Empty if nothing was scored."""
    scored = table[table["scored"] & table["steps"].notna()]
    if scored.empty:
        return pd.DataFrame(columns=["step", "share", "low", "high"])
    last = int(scored["steps"].max())
    tried = scored["first_attempt"].notna()
    censored = scored["reason"].isin(STOPPED_EARLY) & ~tried
    time = scored["first_attempt"].where(tried, scored["steps"].where(censored, last + 1)).astype(int)
    curve = SurvfuncRight(time.to_numpy(), tried.to_numpy(dtype=int))
    steps = np.arange(last + 1)
    at = np.searchsorted(curve.surv_times, steps, side="right")
    share = 1 - np.concatenate([[1.0], np.asarray(curve.surv_prob)])[at]
    number = rate_of(scored["interference"], scored["cluster"], alpha=alpha, icc=icc).effective
    bands = [interval(min(1.0, max(0.0, float(one))), number, alpha, "wilson") for one in share]
    low, high = zip(*bands, strict=True)
    return pd.DataFrame({"step": steps, "share": share, "low": low, "high": high})
