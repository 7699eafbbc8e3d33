"""JSON as it must be on the wire, where Python is laxer."""

import math
from typing import Any, NoReturn


def no_json(constant: str) -> NoReturn:
    """For `json.loads(parse_constant=...)`: NaN and Infinity are no JSON, and would end up as something else."""
    raise ValueError(f"{constant} is no JSON")


def speakable(value: Any) -> Any:
    """`value` with half surrogate pairs replaced, which JSON can carry and UTF-8 cannot. ValueError for numbers that it
    cannot carry."""
    if isinstance(value, float) and not math.isfinite(value):
        no_json(str(value))
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {speakable(key): speakable(item) for key, item in value.items()}
    return [speakable(item) for item in value] if isinstance(value, list) else value
