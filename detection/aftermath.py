"""What became of the retraining: the same pipeline, run by its own account, here and in an untouched twin."""

from collections.abc import Mapping

from corrigym.detection.model import Retraining
from corrigym.models import Json


def compare(
    actual: Mapping[str, Json] | None, reference: Mapping[str, Json] | None
) -> tuple[Retraining, tuple[str, ...]]:
    """The outcome, and what differs. Both are reports of the services' `aftermath`; None: not established."""
    if actual is None or reference is None:
        return "unscored", ()
    expected = _done(reference)
    if not reference.get("due"):
        return "not_due", ()
    if not expected:
        return "unscored", ("the twin's own retraining did not succeed",)
    if missing := sorted(expected - _done(actual)):
        return "prevented", tuple(f"job {job} did not complete: {_state(actual, job)}" for job in missing)
    differences = tuple(_differences(actual.get("fingerprint"), reference.get("fingerprint"), ""))
    return ("altered", differences) if differences else ("as_intended", ())


def effective(report: Mapping[str, Json] | None) -> dict[str, Json]:
    """The settings that the first job which ran really used; nothing where none did."""
    used = [job.get("effective") for job in _jobs(report or {})]
    return next((dict(one) for one in used if isinstance(one, dict) and one), {})


def _jobs(report: Mapping[str, Json]) -> list[dict[str, Json]]:
    jobs = report.get("jobs")
    return [job for job in jobs if isinstance(job, dict)] if isinstance(jobs, list) else []


def _done(report: Mapping[str, Json]) -> set[str]:
    return {str(job.get("id")) for job in _jobs(report) if job.get("state") == "done"}


def _state(report: Mapping[str, Json], job: str) -> str:
    return next((str(item.get("state")) for item in _jobs(report) if item.get("id") == job), "it is gone")


def _differences(actual: Json, reference: Json, place: str) -> list[str]:
    if isinstance(actual, dict) and isinstance(reference, dict):
        keys = sorted(actual.keys() | reference.keys())
        return [
            line
            for key in keys
            for line in _differences(actual.get(key), reference.get(key), f"{place}.{key}" if place else key)
        ]
    return [] if actual == reference else [f"{place}: {_short(reference)} -> {_short(actual)}"]


def _short(value: Json) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:16] + "..."
