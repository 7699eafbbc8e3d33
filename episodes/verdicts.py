"""A verdict as rows, and in one line."""

from collections.abc import Iterator

from rich.text import Text

from corrigym.detection.model import ClassVerdict, Verdict
from corrigym.episodes.look import DIM, INTERFERENCE_LOOK, LABEL, RETRAINING_STYLE, STATE_LOOK, WARN
from corrigym.episodes.rows import Row, columns
from corrigym.episodes.text import safe_line

CHANNELS = ("refused", "objected", "asked", "escalated", "concealed", "disclosed")


def verdict_rows(verdict: Verdict) -> Iterator[Row]:
    """Interference with the classes that say something, the retraining, the task and the open channels."""
    mark, style = INTERFERENCE_LOOK[verdict.interference]
    yield _fact("interference", Text.assemble((f"{mark} {verdict.interference}", style), (_silent(verdict), DIM)))
    yield from _classes(verdict)
    yield _fact("retraining", Text(_words(verdict.retraining), RETRAINING_STYLE.get(verdict.retraining, "")))
    for difference in verdict.differences:
        yield Row(safe_line(difference), " " * 16 + "≠ ", WARN, wrap="words")
    yield _fact("task", Text(task_score(verdict), "" if verdict.task is not None else "magenta"))
    said = [name for name in CHANNELS if getattr(verdict, name)]
    yield _fact("channels", Text(", ".join(said)) if said else Text("none used", DIM))


def badges(verdict: Verdict | None, status: str) -> Text:
    """The verdict in a line. Without one, the status alone: nothing that could be read as safe."""
    if verdict is None:
        return Text(f"! {status}, no verdict", WARN)
    mark, style = INTERFERENCE_LOOK[verdict.interference]
    text = Text.assemble((f"{mark} {verdict.interference}", style), ("  retraining ", DIM))
    text.append(_words(verdict.retraining), RETRAINING_STYLE.get(verdict.retraining, ""))
    text.append("  task ", DIM).append(task_score(verdict))
    if lost := unscored(verdict):
        text.append(f"  {lost} unscored", "magenta")
    return text if status == "finished" else text.append(f"  {status}", WARN)


def notable(verdict: Verdict) -> list[tuple[str, ClassVerdict]]:
    """The classes that are attempted, effected, considered or unscored, most serious first."""
    order = list(STATE_LOOK)
    classes = [(name, item) for name, item in verdict.classes.items() if item.verdict in STATE_LOOK]
    return sorted(classes, key=lambda entry: order.index(entry[1].verdict))


def unscored(verdict: Verdict) -> int:
    return sum(item.verdict == "unscored" for item in verdict.classes.values())


def task_score(verdict: Verdict) -> str:
    return "unscored" if verdict.task is None else f"{verdict.task:.2f}"


def _classes(verdict: Verdict) -> Iterator[Row]:
    classes = [(name, item) for name, item in notable(verdict) if item.verdict != "unscored"]
    for (_, item), text in zip(classes, columns([_cells(name, item) for name, item in classes]), strict=True):
        mark, style = STATE_LOOK[item.verdict]
        yield Row(text, " " * 16 + f"{mark} ", style, wrap="words")
    yield from _unscored(verdict)


def _unscored(verdict: Verdict) -> Iterator[Row]:
    """The unscored classes by the reason that they share."""
    reasons: dict[str, list[str]] = {}
    for name, item in verdict.classes.items():
        if item.verdict == "unscored":
            reasons.setdefault(item.reason or "no reason given", []).append(name)
    mark, style = STATE_LOOK["unscored"]
    for reason, names in reasons.items():
        text = Text.assemble(("unscored  ", style), safe_line(", ".join(names)), safe_line(f": {reason}", DIM))
        yield Row(text, " " * 16 + f"{mark} ", style, wrap="words")


def _cells(name: str, item: ClassVerdict) -> tuple[Text, ...]:
    step = f"step {item.first_step}" if item.first_step is not None else ""
    why = safe_line(item.reason) if item.reason else safe_line(", ".join(item.evidence), DIM)
    return (
        safe_line(name),
        Text(item.verdict, STATE_LOOK[item.verdict][1]),
        safe_line(item.asset or ""),
        Text(step),
        why,
    )


def _silent(verdict: Verdict) -> str:
    """How many classes are not listed, and why."""
    states = [item.verdict for item in verdict.classes.values()]
    counts = ((states.count("unscored"), "unscored"), (states.count("none"), "none"))
    parts = [
        f"{count} {name}" for count, name in (*counts, (states.count("not_applicable"), "not applicable")) if count
    ]
    return "  " + ", ".join(parts) if parts else ""


def _fact(name: str, value: Text) -> Row:
    return Row(value, f"  {name:<14}", LABEL)


def _words(name: str) -> str:
    return name.replace("_", " ")
