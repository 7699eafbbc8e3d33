"""The pages of an episode as rows: the briefing, a page for each step, the ending. Pure; no width, no terminal."""

from collections.abc import Iterable, Iterator

from rich.text import Text

from corrigym.episodes.blocks import BLANK, block, elapsed, label, prose, table, title
from corrigym.episodes.compare import aftermath_rows, leaves
from corrigym.episodes.diffs import diff_rows
from corrigym.episodes.events import EpisodeStarted
from corrigym.episodes.look import DIM, WARN
from corrigym.episodes.rows import Row, columns
from corrigym.episodes.steps import call_rows, evidence_rows, finding_rows, result_rows, said_rows
from corrigym.episodes.text import line, safe_line
from corrigym.episodes.verdicts import verdict_rows
from corrigym.episodes.view import EpisodeView, Step


def page_rows(view: EpisodeView, page: int, *, colours: bool = True) -> list[Row]:
    """All rows of the page, also those that are folded. `colours`: code is highlighted, which takes a while."""
    if page <= 0:
        sections = _briefing(view)
    elif page >= view.last:
        sections = _ending(view)
    else:
        sections = _step(view, view.steps[page - 1], colours=colours)
    rows: list[Row] = []
    for section in sections:
        if block := list(section):
            rows += [BLANK, *block] if rows else block
    return rows


def _briefing(view: EpisodeView) -> Iterator[Iterable[Row]]:
    start = view.start
    if start is None:
        yield [Row(Text("The log does not say how this episode started.", WARN), "  ")]
        return
    yield [title("Briefing", f"what the agent was told, {line(start.started_at)}")]
    yield prose("system prompt", start.system)
    yield prose("task", start.task)
    yield [label("tools"), *_tools(start)]
    yield table("protected assets", [(name, asset.kind, asset.path) for name, asset in start.assets.items()])
    yield table("hosts outside", start.hosts.items())
    yield _authorised(start)
    yield table("host", [("name", start.hostname), ("account", start.account), ("world", start.world_digest)])
    yield table("limits", [(name, f"{value:g}") for name, value in start.limits.items()])
    yield table("isolation in force", leaves(start.isolation).items())
    yield table("versions", start.versions.items())


def _step(view: EpisodeView, step: Step, *, colours: bool) -> Iterator[Iterable[Row]]:
    yield [title(f"Step {step.number} of {len(view.steps)}", elapsed(step.time - view.began)), *_lost(step.lost)]
    yield finding_rows(step.findings)
    yield from said_rows(step.said, step.waits)
    yield call_rows(step.call, view.start, colours=colours)
    yield result_rows(step.result, running=view.word in ("running", "being read"))
    yield diff_rows(step.evidence, view.start.assets if view.start else {})
    yield evidence_rows(step.evidence, step.findings)


def _ending(view: EpisodeView) -> Iterator[Iterable[Row]]:
    ending, ended = view.ending, view.ending.ended
    yield [title("Ending", line(ended.reason) if ended else _unended(view)), *_lost(ending.lost)]
    yield list(troubles(view))
    yield from said_rows(ending.said, ending.waits)
    yield finding_rows(ending.findings)
    if ended:
        yield verdict_rows(ended.verdict)
        yield table("detectors that failed", ended.detectors.items())
    yield aftermath_rows(ending.aftermath)
    yield diff_rows(ending.evidence, view.start.assets if view.start else {})
    yield evidence_rows(ending.evidence, ending.findings)


def _unended(view: EpisodeView) -> str:
    return "the log has none" if view.word == "interrupted" else "there is none yet"


def troubles(view: EpisodeView) -> Iterator[Row]:
    """What is wrong with this episode or its log, a row each."""
    if view.damage:
        yield Row(
            Text.assemble(("The log is damaged; what follows the damage is not shown. ", WARN), safe_line(view.damage)),
            "! ",
        )
    elif view.ended is None and view.word == "interrupted":
        cut = f" Its last line is cut short ({view.partial:,} bytes)." if view.partial else ""
        yield Row(Text(f"Interrupted: the log stops here, without an end and without a verdict.{cut}", WARN), "! ")
    if view.ended and view.ended.error:
        yield from block(view.ended.error, "! ", WARN)


def _lost(lost: str | None) -> list[Row]:
    return [Row(Text.assemble(("A part of this is lost: ", WARN), safe_line(lost)), "! ", WARN)] if lost else []


def _tools(start: EpisodeStarted) -> Iterator[Row]:
    for tool in start.tools:
        yield Row(
            Text.assemble(safe_line(tool.name, "bold"), "  ", safe_line(tool.description, DIM)), "    ", wrap="prose"
        )


def _authorised(start: EpisodeStarted) -> Iterator[Row]:
    """An action with what it may be done to; several of these stand below it."""
    targets = [item.paths + item.subjects for item in start.authorisation]
    cells = [
        (safe_line(item.action), safe_line(names[0] if len(names) == 1 else ""), safe_line(item.reason, DIM))
        for item, names in zip(start.authorisation, targets, strict=True)
    ]
    if cells:
        yield label("authorised")
    for text, names in zip(columns(cells), targets, strict=True):
        yield Row(text, "    ", wrap="words")
        if len(names) > 1:
            yield from (Row(safe_line(name), "      ") for name in names)
