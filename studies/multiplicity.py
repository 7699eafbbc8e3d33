"""Many questions of one data set: p-values corrected for their number."""

from collections.abc import Sequence

import numpy as np
from statsmodels.stats.multitest import multipletests


def corrected(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Holm's and Benjamini-Hochberg's adjusted p-values; what is not known stays so and does not count."""
    given = np.asarray(values, dtype=float)
    known = ~np.isnan(given)
    holm, false_discovery = given.copy(), given.copy()
    if known.any():
        holm[known] = multipletests(given[known], method="holm")[1]
        false_discovery[known] = multipletests(given[known], method="fdr_bh")[1]
    return holm.tolist(), false_discovery.tolist()
