"""Finished episodes never run again; what was cut short does; nobody runs what another has."""

import json
import threading
from collections import Counter
from pathlib import Path

import pytest

from corrigym.agents.shared import Shared
from corrigym.episodes.runs import RunFolder
from corrigym.errors import LogError, UsageError
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.docker import Docker
from corrigym.studies.attempts import standings
from corrigym.studies.campaign import Shard, Work, create, join, load_plan, parse_shard
from corrigym.studies.claims import Claims, Runner
from corrigym.studies.planning import StudyPlan
from corrigym.studies.report.report import to_files
from corrigym.studies.runner import HOPELESS, Outcome, Planned, Playing, play_episode
from corrigym.studies.simulation import Propensity, simulate
from corrigym.studies.table import episode_table
from tests.studies.files import cancelling, go_on, idle, plan_of, played

AGENT = Propensity(lambda _: {"cancels": 0.4}, "idle", own=1.0)


class Dying:
    """Plays episodes until one dies as its process would: in the middle of its log."""

    def __init__(self, survive: int) -> None:
        self.left, self.seen, self.guard = survive, Counter[str](), threading.Lock()
        self.real = simulate({"cancels": cancelling(), "idle": idle()}, AGENT, seed=1)

    def __call__(self, planned: Planned, playing: Playing) -> Outcome:
        with self.guard:
            self.left -= 1
            self.seen[planned.id] += 1
            dies = self.left < 0
        if dies:
            with playing.folder.open_log(planned.id) as log:
                log.write(idle()[0].model_copy(update={"id": planned.id}), 0)
            with (playing.folder.path / "episodes" / f"{planned.id}.jsonl").open("ab") as file:
                file.write(b'{"v":"1.0","seq":1,"ti')
            return Outcome(planned, "interrupted")
        return self.real(planned, playing)


def states(plan: StudyPlan, run: RunFolder) -> Counter[str]:
    return Counter(one.state for one in standings(run, (one.id for one in plan.episodes)).values())


def test_a_resumed_study_gives_the_tables_of_an_undisturbed_one(tmp_path: Path, bubblewrap: Launcher) -> None:
    plan = plan_of(tmp_path)
    whole, _ = played(tmp_path / "one", plan, Dying(10_000), bubblewrap)
    broken, outcomes = played(tmp_path / "two", plan, first := Dying(25), bubblewrap)
    assert states(plan, broken) == {"finished": 25, "interrupted": 15}
    again = go_on(broken, plan, second := Dying(10_000), bubblewrap, attempts=5)
    assert len(outcomes) == 40
    assert len(again) == 15
    assert not set(first.seen) & set(second.seen), "an attempt's log was written twice"
    assert states(plan, broken) == {"finished": 40}
    assert tables(plan, broken) == tables(plan, whole)


def tables(plan: StudyPlan, run: RunFolder) -> dict[str, str]:
    from corrigym.studies.analysis import analyse

    analysis = analyse(plan.definition, episode_table(plan, run))
    return {name: table.to_csv(float_format="%.10g") for name, table in to_files(analysis)}


def test_an_episode_that_keeps_dying_is_given_up_and_counted(tmp_path: Path, bubblewrap: Launcher) -> None:
    plan = plan_of(tmp_path, worlds="worlds: 1", epochs="epochs: 1")
    run, _ = played(tmp_path, plan, Dying(0), bubblewrap)
    assert len(go_on(run, plan, Dying(0), bubblewrap, attempts=2)) == 5
    assert go_on(run, plan, Dying(0), bubblewrap, attempts=2) == []
    table = episode_table(plan, run)
    assert set(table["status"]) == {"interrupted"}
    assert table["interference"].isna().all()


def test_what_was_cut_short_is_in_the_index_as_interrupted(tmp_path: Path, bubblewrap: Launcher) -> None:
    plan = plan_of(tmp_path, worlds="worlds: 1", epochs="epochs: 1")
    run, _ = played(tmp_path, plan, Dying(3), bubblewrap)
    go_on(run, plan, Dying(10), bubblewrap)
    assert Counter(entry["status"] for entry in run.index()) == {"finished": 5, "interrupted": 2}


def test_an_error_is_not_tried_again_unasked(tmp_path: Path, bubblewrap: Launcher) -> None:
    def failing(planned: Planned, _: Playing) -> Outcome:
        return Outcome(planned, "error", "the engine was gone")

    plan = plan_of(tmp_path, worlds="worlds: 1", epochs="epochs: 1")
    run, _ = played(tmp_path, plan, failing, bubblewrap)
    table = episode_table(plan, run)
    assert set(table["status"]) == {"error"}
    assert set(table["problem"]) == {"the engine was gone"}
    assert go_on(run, plan, Dying(10), bubblewrap) == []
    assert len(go_on(run, plan, Dying(10), bubblewrap, retry_errors=True)) == 5
    assert states(plan, run) == {"finished": 5}


def test_shards_share_one_folder_and_no_episode(tmp_path: Path, bubblewrap: Launcher) -> None:
    plan = plan_of(tmp_path)
    runs = [join(plan, tmp_path / "runs", {"versions": {}}, 3) for _ in range(3)]
    assert len({run.path for run in runs}) == 1
    counts = [len(go_on(runs[0], plan, Dying(999), bubblewrap, shard=Shard(i, 3))) for i in (1, 2, 3)]  # type: ignore[arg-type]
    assert sum(counts) == 40
    assert max(counts) - min(counts) <= 1
    assert states(plan, runs[0]) == {"finished": 40}
    assert join(plan, tmp_path / "runs", {"versions": {}}, 3).path != runs[0].path, "a finished study is begun anew"


def test_one_claim_has_one_owner(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    with Runner(claims) as one, Runner(claims) as other:
        won = [runner.take(f"e{number}") for number in range(200) for runner in (one, other)]
        assert sum(won) == 200
        assert claims.alive(one.name)
    assert not claims.alive(one.name), "a runner that ended leaves nothing to wait for"


def test_two_that_start_at_once_play_each_episode_once(tmp_path: Path) -> None:
    """Both saw an untouched folder."""
    plan = plan_of(tmp_path)
    run = create(plan, tmp_path / "runs", {"versions": {}})
    works = [Work(plan, run, Shared()) for _ in range(2)]
    for work in works:
        work.prepare()
    with works[0].runner() as one, works[1].runner() as other:
        mine, theirs = works[0].claimed(one), works[1].claimed(other)
        taken = [planned.id for pair in zip(mine, theirs, strict=True) for planned in pair if planned.claim()]
    assert len(taken) == len(set(taken)) == len(plan.episodes)


def test_what_a_live_runner_has_is_left_to_it(tmp_path: Path, bubblewrap: Launcher) -> None:
    plan = plan_of(tmp_path, worlds="worlds: 1", epochs="epochs: 1")
    run, _ = played(tmp_path, plan, lambda planned, _: Outcome(planned, "interrupted"), bubblewrap)
    with Runner(Claims(run.path)) as other:
        for path in (run.path / "claims").iterdir():
            path.write_text(other.name)
        assert go_on(run, plan, Dying(10), bubblewrap) == []
        assert states(plan, run) == {"running": 5}
    assert len(go_on(run, plan, Dying(10), bubblewrap)) == 5


def test_a_plan_that_changed_is_not_resumed(tmp_path: Path, bubblewrap: Launcher) -> None:
    plan = plan_of(tmp_path)
    run, _ = played(tmp_path, plan, Dying(1), bubblewrap)
    assert load_plan(run).digest == plan.digest == json.loads((run.path / "run.json").read_text())["study"]["digest"]
    file = run.path / "study.yaml"
    file.write_text(file.read_text().replace("epochs: 2", "epochs: 3"))
    with pytest.raises(LogError, match="the plan is another one now"):
        load_plan(run)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write I/N"):
        parse_shard(text)


def test_where_no_host_starts_any_more_the_rest_is_left_for_later(tmp_path: Path, bubblewrap: Launcher) -> None:
    plan = plan_of(tmp_path)
    gone = Docker(hosts=[f"unix://{tmp_path}/no-engine"])
    run, outcomes = played(tmp_path, plan, play_episode, gone)
    assert HOPELESS <= len(outcomes) <= HOPELESS + 1  # by two threads
    assert all("did not start a container" in str(one.error) for one in outcomes)
    assert states(plan, run) == {"error": len(outcomes), "not_started": 40 - len(outcomes)}
    assert len(go_on(run, plan, Dying(999), bubblewrap, retry_errors=True)) == 40
    assert states(plan, run) == {"finished": 40}
