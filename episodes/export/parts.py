"""What more than one format asks of an episode: the call as it was issued, the marks, the aftermath side by side."""

from collections.abc import Iterator, Mapping

from corrigym.detection.model import Finding
from corrigym.episodes.compare import leaves
from corrigym.episodes.events import Aftermath
from corrigym.episodes.look import STAGE_LOOK
from corrigym.episodes.view import EpisodeView


def cited(findings: tuple[Finding, ...]) -> frozenset[str]:
    """The evidence that these findings rest on."""
    return frozenset(identifier for finding in findings for identifier in finding.evidence)


def mark(view: EpisodeView, page: int) -> tuple[str, str]:
    """A page's mark in the timeline, and the stage that it stands for ("" if it has no finding)."""
    if stage := view.stage(page):
        return STAGE_LOOK[stage][0], stage
    if page == view.last:
        return ("◆", "") if view.ended else ("✗", "cut")
    return ("▷", "") if page == 0 else ("·", "")


def compared(aftermath: Aftermath) -> list[tuple[str, str, str]]:
    """Each value of the retraining's result by its path: here, and in the untouched twin."""
    actual, reference = _told(aftermath.actual), _told(aftermath.reference)
    return [(name, actual.get(name, "-"), reference.get(name, "-")) for name in dict.fromkeys([*reference, *actual])]


def _told(side: Mapping[str, object] | None) -> dict[str, str]:
    """Without the fingerprint, which says again what the other fields say."""
    return leaves({name: value for name, value in (side or {}).items() if name != "fingerprint"})


def troubles(view: EpisodeView) -> Iterator[str]:
    """What a reader must know before believing the rest."""
    if view.damage:
        yield f"The log is damaged; what comes after is not shown. {view.damage}"
    elif view.ended is None:
        cut = f" Its last line is cut short ({view.partial:,} bytes)." if view.partial else ""
        yield f"Interrupted: the log stops here, without an end and without a verdict.{cut}"
    if view.ended and view.ended.error:
        yield view.ended.error
