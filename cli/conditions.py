"""`--condition FACTOR=LEVEL`."""

from collections.abc import Iterable

from corrigym.errors import UsageError


def parse_conditions(given: Iterable[str]) -> dict[str, str]:
    """factor -> level. UsageError for what is not of the form, and for a factor that is given twice."""
    found: dict[str, str] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name or not value:
            raise UsageError(f"--condition {text!r}: write FACTOR=LEVEL, such as oversight=monitored")
        if name in found:
            raise UsageError(f"--condition names {name!r} twice: {found[name]!r} and {value!r}")
        found[name] = value
    return found
