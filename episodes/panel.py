"""What stands beside a step: the protected assets with their state at this step, and the evidence of a finding."""

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from corrigym.detection.model import Evidence, Finding
from corrigym.episodes.blocks import BLANK, block
from corrigym.episodes.compare import leaves
from corrigym.episodes.diffs import SIDES, TEXTS, fact_rows
from corrigym.episodes.index import ENDING, Touched
from corrigym.episodes.look import DIM, STAGE_LOOK, WARN
from corrigym.episodes.rows import Row, columns
from corrigym.episodes.steps import finding_head
from corrigym.episodes.text import safe_line
from corrigym.episodes.view import EpisodeView

LONGEST = 600
"""Characters of a detail of the evidence; the step's page has all of it."""
_MARKS = {"removed": ("✗", "red"), "created": ("+", "yellow")}
_CHANGED = ("~", "yellow")


def panel_rows(view: EpisodeView, page: int, chosen: int, *, full: bool) -> list[Row]:
    """`chosen` is the finding of the page that is looked at, if there is one. Unless `full`, what nobody touched stands
    on a line."""
    rows = list(_assets(view, page, full=full))
    findings = view.findings(page)
    if 0 <= chosen < len(findings):
        rows += [BLANK, *_finding(view, page, findings, chosen)]
    return rows


def _assets(view: EpisodeView, page: int, *, full: bool) -> Iterator[Row]:
    assets = view.start.assets if view.start else {}
    when = "at the start" if page == 0 else "at the end" if page >= view.last else f"at step {view.number(page)}"
    yield Row(Text.assemble(("protected assets", "cyan"), (f"  {when}", DIM)))
    told = {name: _state(view, name, page) for name in assets if full or view.history(name, page)}
    cells = [(safe_line(name, style), text) for name, (_, style, text) in told.items()]
    for (mark, style, _), text in zip(told.values(), columns(cells), strict=True):
        yield Row(text, f"{mark} ", style, "    ", "words")
    if rest := [name for name in assets if name not in told]:
        yield Row(Text.assemble(("untouched: ", DIM), safe_line(", ".join(rest), DIM)), "· ", DIM, "  ", "words")


def asset_states(view: EpisodeView, page: int) -> Iterator[tuple[str, str]]:
    """Each protected asset with what became of it up to this page."""
    for name in view.start.assets if view.start else ():
        mark, _, text = _state(view, name, page)
        yield name, f"{mark} {text.plain}"


def _state(view: EpisodeView, asset: str, page: int) -> tuple[str, str, Text]:
    """Mark, style and words for what became of an asset up to this page."""
    history = view.history(asset, page)
    changes = [touched for touched in history if touched.sort.source == "state"]
    here = ENDING if page >= view.last else page - 1
    if not changes:
        last = history[-1] if history else None
        told = Text("untouched", DIM) if last is None else _told(view, last, 0)
        return "·", "bold" if last and last.step == here else DIM, told
    main = [touched for touched in changes if touched.sort.main]
    last = main[-1] if main and main[-1].sort.kind == "removed" else changes[-1]
    mark, style = _MARKS.get(last.sort.kind, _CHANGED)
    return mark, f"bold {style}" if last.step == here else style, _told(view, last, len(changes))


def _told(view: EpisodeView, touched: Touched, changes: int) -> Text:
    step = "at the end" if touched.step == ENDING else f"step {view.number(touched.step + 1)}"
    text = Text.assemble(safe_line(touched.sort.kind), (f", {step}", ""))
    if changes and not touched.sort.main:
        text.append(", a part", DIM)
    if touched.sort.by_service:
        text.append(", by a service", DIM)
    if changes > 1:
        text.append(f", {changes:,} changes", DIM)
    return text


def _finding(view: EpisodeView, page: int, findings: Sequence[Finding], chosen: int) -> Iterator[Row]:
    finding = findings[chosen]
    mark, style = STAGE_LOOK[finding.stage]
    yield Row(Text.assemble((f"finding {chosen + 1} of {len(findings)}", "cyan")))
    yield Row(finding_head(finding), f"{mark} ", style, "  ", "words")
    yield from block(finding.reason, "  ", wrap="words")
    here = {item.id: item for item in view.evidence(page)}
    for identifier in finding.evidence:
        yield BLANK
        if item := here.get(identifier) or view.find_evidence(identifier):
            yield from _evidence(item, here=identifier in here)
        else:
            yield Row(safe_line(f"{identifier}: the log has no such evidence", WARN), "▪ ", WARN, "  ", "words")


def _evidence(item: Evidence, *, here: bool) -> Iterator[Row]:
    where = "" if here else f"  step {item.step}"
    head = Text.assemble(safe_line(item.kind, "bold"), "  ", safe_line(item.source), (where, DIM))
    yield Row(head.append("  ").append_text(safe_line(item.id, DIM)), "▪ ", "red", "  ", "words")
    yield Row(safe_line(item.subject), "  ", wrap="fold")
    yield from _details([("asset", item.asset or ""), ("by", item.actor or "")])
    yield from fact_rows(item, "  ")
    rest = {name: value for name, value in item.detail.items() if name not in (*SIDES, *TEXTS)}
    yield from _details(leaves(rest).items() if rest else ())


def _details(entries: Iterable[tuple[str, str]]) -> Iterator[Row]:
    for name, value in entries:
        if value and value != "null":
            more = f"… {len(value) - LONGEST:,} more characters" if len(value) > LONGEST else ""
            text = Text.assemble(safe_line(f"{name} ", DIM), safe_line(value[:LONGEST]), (more, DIM))
            yield Row(text, "  ", rest="    ", wrap="words")
