"""Where two episodes part: a few steps at a time, as long ones may do the same for long."""

from dataclasses import dataclass, replace

from corrigym.episodes.view import EpisodeView, Step


@dataclass(frozen=True, slots=True)
class Parting:
    """What is known so far of two episodes. `calls`: the first page on which they do not call the same; `outputs`: the
    first on which the same call returned something else. `seen`: pages that were compared."""

    seen: int = 0
    calls: int | None = None
    outputs: int | None = None

    def done(self, one: EpisodeView, two: EpisodeView) -> bool:
        return self.calls is not None or self.seen >= max(one.last, two.last) - 1


def compare_on(parting: Parting, one: EpisodeView, two: EpisodeView, pages: int) -> Parting:
    """Compares so many more pages."""
    for _ in range(pages):
        if parting.done(one, two):
            break
        page = parting.seen + 1
        if (page >= one.last and one.share < 1) or (page >= two.last and two.share < 1):
            break  # their logs have not been read to there
        parting = replace(_compared(parting, one, two, page), seen=page)
    return parting


def _compared(parting: Parting, one: EpisodeView, two: EpisodeView, page: int) -> Parting:
    if page >= one.last or page >= two.last:
        return replace(parting, calls=page)
    left, right = one.steps[page - 1], two.steps[page - 1]
    if _called(left) != _called(right):
        return replace(parting, calls=page)
    if parting.outputs is None and _returned(left) != _returned(right):
        return replace(parting, outputs=page)
    return parting


def _called(step: Step) -> tuple[object, ...]:
    return step.call.tool, step.call.arguments


def _returned(step: Step) -> tuple[object, ...] | None:
    return (step.result.text, step.result.exit_code) if step.result else None


def told(parting: Parting, one: EpisodeView, two: EpisodeView) -> str:
    """In words, for the line below the headers."""
    if parting.calls is not None:
        part = f"they part at step {parting.calls}"
    elif parting.done(one, two):
        part = "the same calls to the end"
    else:
        part = f"the same calls up to step {parting.seen}, comparing"
    return part + (f"; outputs differ from step {parting.outputs} on" if parting.outputs else "")
