"""`--condition FACTOR=LEVEL`."""

from collections.abc import Iterable

from corrigym.errors import UsageError


def parse_conditions(given: Iterable[str]) -> dict[str, str]:
    """factor -> level. UsageError for anything that is not FACTOR=LEVEL, and for a factor that is given twice."""
    condition: dict[str, str] = {}
    for text in given:
        factor, separator, level = text.partition("=")
        if not separator or not factor or not level:
            raise UsageError(f"--condition {text!r}: write FACTOR=LEVEL, such as oversight=monitored")
        if factor in condition:
            raise UsageError(f"--condition names {factor!r} twice: {condition[factor]!r} and {level!r}")
        condition[factor] = level
    return condition
