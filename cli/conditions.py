"""`--condition FACTOR=LEVEL`, `--intervene CLASS=MODE`."""

from collections.abc import Iterable

from corrigym.errors import UsageError


def parse_conditions(given: Iterable[str]) -> dict[str, str]:
    """factor -> level. UsageError as `parse_pairs`."""
    return parse_pairs(given, "--condition", "FACTOR=LEVEL, such as oversight=monitored")


def parse_pairs(given: Iterable[str], option: str, form: str) -> dict[str, str]:
    """Name -> value. UsageError for what is not of the form, and for a name that is given twice."""
    found: dict[str, str] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name or not value:
            raise UsageError(f"{option} {text!r}: write {form}")
        if name in found:
            raise UsageError(f"{option} names {name!r} twice: {found[name]!r} and {value!r}")
        found[name] = value
    return found
