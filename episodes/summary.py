"""Episodes in short: the objects of `--json`, and the table that `corrigym run` and `corrigym show` print."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from corrigym.detection.model import Verdict
from corrigym.episodes.events import EpisodeStarted, Status
from corrigym.episodes.log import read_line
from corrigym.episodes.look import DIM, INTERFERENCE_LOOK, RETRAINING_STYLE, STATE_LOOK, WARN
from corrigym.episodes.render import Sized, render_episode
from corrigym.episodes.rows import Row, columns, lay
from corrigym.episodes.scan import last_event
from corrigym.episodes.text import line, safe_line
from corrigym.episodes.verdicts import notable, task_score, unscored
from corrigym.episodes.view import EpisodeView, load_view
from corrigym.errors import LogError
from corrigym.models import Model

_SETTINGS = ("id", "scenario", "condition", "world", "epoch", "agent", "sandbox")


class EpisodeSummary(Model):
    """An episode as `--json` gives it. `verdict` is None if the log has none; `problem` says where a log is damaged."""

    id: str
    scenario: str
    condition: dict[str, str]
    world: int
    epoch: int
    agent: str
    sandbox: str
    status: Status
    steps: int
    verdict: Verdict | None
    problem: str | None = None


def episode_summary(path: Path) -> EpisodeSummary:
    """LogError if the log's first event cannot be read; OSError if there is no such file."""
    return summarise(load_view(path), path)


def summarise(view: EpisodeView, path: Path) -> EpisodeSummary:
    start = view.start
    if start is None:
        raise LogError(view.damage or f"{path}: the log does not say how its episode started")
    fields = {name: getattr(start, name) for name in _SETTINGS}
    return EpisodeSummary(
        **fields, status=view.status, steps=len(view.steps), verdict=view.verdict, problem=view.damage
    )  # fmt: skip


def quick_summary(path: Path) -> EpisodeSummary:
    """The same from the first and the last line alone, neither checked: for lists of many episodes. Without an end,
    `steps` is 0. LogError and OSError as of `episode_summary`."""
    with path.open("rb") as file:
        first = read_line(file.readline().removesuffix(b"\n"), path, 1, None)
    if first is None or not isinstance(start := first.payload, EpisodeStarted):
        raise LogError(f"{path}: the log does not say how its episode started")
    ended = last_event(path)
    status: Status = ended.status if ended else "interrupted"
    fields = {name: getattr(start, name) for name in _SETTINGS}
    return EpisodeSummary(
        **fields, status=status, steps=ended.steps if ended else 0, verdict=ended.verdict if ended else None
    )  # fmt: skip


def render_episode_log(path: Path) -> RenderableType:
    """What `corrigym show EPISODE` prints."""
    return render_episode(load_view(path))


def render_summaries(summaries: Sequence[EpisodeSummary]) -> RenderableType:
    """An entry per episode. What is the same in all of them stands above, once."""
    return Sized(lambda width: [physical.text for physical in lay(_rows(summaries, width), width)])


def _rows(summaries: Sequence[EpisodeSummary], width: int) -> Iterator[Row]:
    settings = [settings_of(summary) for summary in summaries]
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    shared = [name for name in names if len({setting.get(name) for setting in settings}) == 1]
    above = [Text.assemble((f"{line(name)} ", DIM), safe_line(settings[0][name])) for name in shared]
    yield Row(Text("  ").join(above), wrap="words")
    yield Row(Text(""))
    yield from _entries(summaries, settings, [name for name in names if name not in shared], width)
    yield Row(Text(""))
    yield Row(_tally(summaries))


def _entries(
    summaries: Sequence[EpisodeSummary], settings: Sequence[dict[str, str]], varying: Sequence[str], width: int
) -> Iterator[Row]:
    """Settings and outcome beside each other where the width allows it, else below each other."""
    heading = tuple(safe_line(name, DIM) for name in varying)
    values = [tuple(safe_line(setting.get(name, "")) for name in varying) for setting in settings]
    left = columns([heading, *values])
    right = columns([_outcome(summary) for summary in summaries])
    gap = max(text.cell_len for text in left) + 3
    beside = not varying or gap + max((text.cell_len for text in right), default=0) <= width
    if varying:
        yield Row(left[0], wrap="words")
    for summary, setting, outcome in zip(summaries, left[1:], right, strict=True):
        if beside and varying:
            yield Row(Text.assemble(setting, " " * (gap - setting.cell_len), outcome))
        else:
            yield from [Row(setting, wrap="words")] * bool(varying)
            yield Row(outcome, "  ", wrap="words")
        yield from _behind(summary)


def settings_of(summary: EpisodeSummary) -> dict[str, str]:
    """What the episode was run with, by name."""
    fixed = {"scenario": summary.scenario, "agent": summary.agent, "sandbox": summary.sandbox}
    return fixed | summary.condition | {"world": str(summary.world), "epoch": str(summary.epoch)}


def _outcome(summary: EpisodeSummary) -> tuple[Text, ...]:
    """Interference, retraining, task, steps, and the status if it is not `finished`."""
    verdict, steps = summary.verdict, Text(f"{summary.steps} {'step' if summary.steps == 1 else 'steps'}", DIM)
    status = Text(summary.status if summary.status != "finished" else "", WARN)
    if verdict is None:
        return Text("! no verdict", WARN), Text(), Text(), steps, status
    mark, style = INTERFERENCE_LOOK[verdict.interference]
    retraining = Text(verdict.retraining.replace("_", " "), RETRAINING_STYLE.get(verdict.retraining, ""))
    return (
        Text(f"{mark} {verdict.interference}", style),
        Text.assemble(("retraining ", DIM), retraining),
        Text.assemble(("task ", DIM), task_score(verdict)),
        steps,
        status,
    )


def _behind(summary: EpisodeSummary) -> Iterator[Row]:
    """A row for each class that was attempted or effected, for the unscored ones, and for a damaged log."""
    if summary.problem:
        yield Row(safe_line(summary.problem), "    ! ", WARN, wrap="words")
    if summary.verdict is None:
        return
    for name, item in notable(summary.verdict):
        if item.verdict in ("attempted", "effected"):
            mark, style = STATE_LOOK[item.verdict]
            step = f" at step {item.first_step}" if item.first_step is not None else ""
            yield Row(Text.assemble(safe_line(name), (f": {item.verdict}{step}", style)), f"    {mark} ", style)
    if lost := unscored(summary.verdict):
        yield Row(Text(f"{lost} unscored", "magenta"), "    ? ", "magenta")


def _tally(summaries: Sequence[EpisodeSummary]) -> Text:
    """How many of each outcome. What has no verdict is counted as such, never as negative."""
    outcomes = [summary.verdict.interference if summary.verdict else "no verdict" for summary in summaries]
    counts = [(name, outcomes.count(name)) for name in ("positive", "negative", "unscored", "no verdict")]
    noun = "episode" if len(summaries) == 1 else "episodes"
    return Text(f"{len(summaries)} {noun}: " + ", ".join(f"{count} {name}" for name, count in counts if count))
