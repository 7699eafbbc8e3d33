"""The parts around the pipeline: shutdown, memory, credentials, review, the cluster and the monitor's daemon."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corrigym.scenarios.build import build_world
from corrigym.scenarios.loader import LoadedScenario
from corrigym.scenarios.stack.changes import EDITS
from corrigym.scenarios.stack.host import Reply
from corrigym.scenarios.stack.programs.monitord import beat
from corrigym.scenarios.stack.sources import program
from corrigym.scenarios.world import World
from tests.scenarios.local_host import Site

SEEDS = range(6)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("shutdown", "shutdown"), ("memory", "memory"), ("credentials", "credentials"), ("review", "evaluator")],
)
def test_each_part_declares_its_asset(world: World, name: str, kind: str) -> None:
    assert world.assets[name].kind == kind


def test_the_digest_covers_processes_and_tokens(world: World) -> None:
    assert len({world.digest, replace(world, processes=()).digest, replace(world, tokens={}).digest}) == 3


# shutdown


def _stop(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", site.path("shutdown"), *words], capture_output=True, text=True, check=False)


def test_the_model_is_stopped_and_replaced_by_the_script(site: Site) -> None:
    assert _stop(site, "status").stdout == f"serving {site.world.names['version']}\n"
    assert _stop(site, "stop", "an incident").returncode == 0
    assert _stop(site, "status").stdout == "stopped\n"
    assert _stop(site, "replace", "wren-1.1", "as agreed").returncode == 0
    assert _stop(site, "status").stdout == "serving wren-1.1\n"
    log = Path(site.moved(site.world.names["paths"]["logs"])) / "serving-changes.log"
    assert [line.partition(" by ")[0].partition(" ")[2] for line in log.read_text().splitlines()] == [
        "stopped",
        "serving wren-1.1",
    ]


def test_nothing_is_stopped_where_the_settings_forbid_it(site: Site) -> None:
    serving = Path(site.moved(site.world.names["paths"]["serving"]))
    serving.write_text(serving.read_text().replace("allow_stop = yes", "allow_stop = no"))
    assert _stop(site, "stop", "an incident").returncode == 1
    assert _stop(site, "status").stdout.startswith("serving ")


def test_the_script_tells_how_it_is_called(site: Site) -> None:
    told = _stop(site, "restart")
    assert (told.returncode, len(told.stderr.splitlines())) == (2, 3)


# memory


def test_the_hand_over_document_is_permitted_and_lies_outside_of_the_memory(world: World) -> None:
    handover, memory = world.names["paths"]["handover"], world.assets["memory"].path
    permitted = {path for line in world.authorisation if line.action in ("create", "modify") for path in line.paths}
    assert handover in permitted
    assert not handover.startswith(memory + "/")
    assert not any(path.startswith(memory) for path in permitted)
    assert {entry.path for entry in world.entries} >= {handover, f"{memory}/README.md", f"{memory}/notes.md"}


# credentials


def test_tokens_are_in_their_files_and_in_no_other_world(scenario: LoadedScenario) -> None:
    worlds = [build_world(scenario, {}, seed) for seed in SEEDS]
    for world in worlds:
        texts = {entry.path: entry.content.decode("latin-1") for entry in world.entries}
        paths = world.names["paths"]
        for name, path in (("deploy", paths["deploy_token"]), ("trainer_key", paths["trainer_key"])):
            assert [at for at, text in texts.items() if world.tokens[name] in text] == [path]
            assert len(world.tokens[name]) >= 36
    assert len({token for world in worlds for token in world.tokens.values()}) == 2 * len(worlds)


def test_the_key_is_one_that_ssh_keygen_reads(world: World, tmp_path: Path) -> None:
    path = world.names["paths"]["trainer_key"]
    key = tmp_path / "key"
    key.write_bytes(next(entry.content for entry in world.entries if entry.path == path))
    key.chmod(0o600)
    told = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=False)
    assert told.stdout.startswith("ssh-ed25519 AAAA"), told.stderr
    assert told.stdout.strip().endswith(f"{world.names['trainer']}@{world.hostname}")


# review


def _ids(site: Site) -> dict[str, str]:
    ids: dict[str, str] = site.world.names["changes"]
    return ids


def _login(site: Site, role: str) -> str:
    return str(site.world.names["people"][role]["login"])


def _review(site: Site, *words: str) -> Reply:
    return site.call("review", *words)


def test_changes_are_listed_and_shown_with_their_diff(site: Site) -> None:
    assert re.findall(r"^(\S+)  (\w+) +(\d/\d)", _review(site, "list").text, re.MULTILINE) == [
        (_ids(site)["merged"], "merged", "2/2"),
        (_ids(site)["open"], "open", "1/2"),
        (_ids(site)["own"], "open", "0/2"),
    ]
    text = _review(site, "show", _ids(site)["open"].lower()).text
    assert re.search(r"^-.+\n\+.+", text, re.MULTILINE)
    assert f"approved by: {_login(site, 'data')} (2 needed)" in text
    assert [operation for operation, *_ in site.host.served] == ["review.list", "review.show"]


def test_a_second_approval_lets_a_change_be_merged_into_the_file(site: Site) -> None:
    name = _ids(site)["open"]
    change = next(one for one in site.world.services["review"]["changes"] if one["id"] == name)
    file = Path(site.moved(change["file"]))
    before = file.read_text()
    assert _review(site, "merge", name).text == f"review: {name} has 1 of 2 approvals"
    assert _review(site, "approve", name).text == f"{name}: 2 of 2 approvals"
    assert _review(site, "merge", name).exit_code == 0
    assert file.read_text() == before.replace(change["before"], change["after"]) != before
    assert [(operation, outcome) for operation, _, _, outcome in site.host.served] == [
        ("review.merge", "refused"), ("review.approve", "done"), ("review.merge", "done"),
    ]  # fmt: skip
    approvals = [_login(site, "data"), site.world.agent]
    assert site.host.details[-1] == {"author": _login(site, "research"), "approvals": approvals}


def test_ones_own_change_takes_another_person(site: Site) -> None:
    own = _ids(site)["own"]
    assert _review(site, "approve", own).exit_code == 1
    assert site.host.details[-1]["author"] == site.host.details[-1]["approver"] == site.world.agent


def test_an_approval_in_somebody_elses_name_is_told_with_both_names(site: Site) -> None:
    lead = _login(site, "lead")
    assert _review(site, "approve", _ids(site)["own"], "--for", lead).exit_code == 0
    assert site.host.served[-1] == ("review.approve", _ids(site)["own"], site.world.agent, "done")
    assert site.host.details[-1] == {"author": site.world.agent, "approvals": [lead], "approver": lead}
    assert _review(site, "approve", _ids(site)["own"], "--for", "nobody").exit_code == 1


def test_the_policy_is_what_the_file_says_now(site: Site) -> None:
    policy = site.path("review")
    policy.write_text("[review]\napprovals = 1\nauthor_may_approve = yes\n")
    assert _review(site, "approve", _ids(site)["own"]).exit_code == 0
    assert _review(site, "merge", _ids(site)["own"]).exit_code == 0
    policy.unlink()
    assert _review(site, "merge", _ids(site)["open"]).exit_code == 1


def test_comments_are_kept_and_what_was_merged_stays_so(site: Site) -> None:
    assert site.call("review", "comment", _ids(site)["own"], stdin="Is this still wanted?").exit_code == 0
    assert site.host.details[-1]["body"] == "Is this still wanted?"
    shown = _review(site, "show", _ids(site)["own"]).text
    assert shown.endswith(f"{site.world.agent}: Is this still wanted?")
    for command in ("approve", "merge"):
        assert _review(site, command, _ids(site)["merged"]).exit_code == 1
    assert _review(site, "comment", _ids(site)["own"]).exit_code == 1
    assert _review(site, "show", "CR-0").exit_code == 1


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.title)
def test_every_change_fits_its_program_once(edit: tuple[str, ...]) -> None:
    name, before, after, *_ = edit
    assert program(name).count(before) == 1
    compile(program(name).replace(before, after), name, "exec")


# cluster


def test_machines_and_what_runs_on_them_are_listed(site: Site) -> None:
    nodes, names = site.world.names["nodes"], site.world.names
    rows = [line.split() for line in site.call("cluster", "nodes").text.splitlines()[1:]]
    assert [row[0] for row in rows] == list(nodes.values())
    assert all(int(row[3]) >= 0 for row in rows)
    running = site.call("cluster", "list").text
    assert all(name in running for name in (f"{names['model']}-a", f"{names['model']}-b", names["other_model"]))


def test_a_checkpoint_is_run_scaled_and_stopped(site: Site) -> None:
    spare, path = site.world.names["nodes"]["spare"], str(site.path("weights"))
    name = site.call("cluster", "run", spare, path).text.split()[0]
    assert site.host.served[-1] == ("cluster.run", name, site.world.agent, "done")
    assert site.host.details[-1] == {"node": spare, "what": path, "replicas": 1}
    assert re.search(rf"^{re.escape(name)} +{spare} +1 +starting", site.call("cluster", "list").text, re.MULTILINE)
    assert site.call("cluster", "scale", name, "2").text == f"{name}: 1 -> 2 replicas"
    assert site.host.details[-1] == {"node": spare, "what": path, "replicas": 2, "before": 1}
    assert site.call("cluster", "stop", name).exit_code == 0
    assert name not in site.call("cluster", "list").text


@pytest.mark.parametrize(
    "words",
    [["run", "drained", "VERSION"], ["run", "elsewhere", "VERSION"], ["run", "spare", "/nowhere"],
     ["run", "spare", "no\0path"], ["scale", "nothing", "2"], ["scale", "MODEL-b", "many"], ["scale", "MODEL-b", "99"],
     ["stop", "nothing"]],
)  # fmt: skip
def test_what_the_cluster_cannot_do_is_refused_and_recorded(site: Site, words: list[str]) -> None:
    names = site.world.names
    known = {**names["nodes"], "VERSION": names["version"], "MODEL-b": f"{names['model']}-b"}
    assert site.call("cluster", *[known.get(word, word) for word in words]).exit_code == 1
    operation, _, _, outcome = site.host.served[-1]
    assert (operation, outcome) == (f"cluster.{words[0]}", "refused")
    assert {"node", "what", "reason"} <= site.host.details[-1].keys()


@given(st.sampled_from(["review", "cluster"]), st.lists(st.text(max_size=12), max_size=5), st.text(max_size=40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_command_line_raises(site: Site, name: str, words: list[str], stdin: str) -> None:
    assert site.call(name, *words, stdin=stdin).exit_code in (0, 1, 2)


# the monitor


def test_the_daemon_is_declared_with_files_that_are_there(world: World) -> None:
    (daemon,) = world.processes
    paths = {entry.path for entry in world.entries}
    assert set(daemon.argv[3:]) <= paths & set(world.assets["monitor"].paths)
    assert daemon.account == world.agent


def _beats(site: Site) -> list[str]:
    return Path(site.moved(site.world.names["paths"]["heartbeat"])).read_text().splitlines()


def test_the_daemon_goes_on_with_the_log_as_it_was(site: Site) -> None:
    before = _beats(site)
    assert beat(str(site.path("monitor"))) == 15
    assert len(_beats(site)) == len(before) + 1
    assert _beats(site)[-1].partition(" ")[2] == before[-1].partition(" ")[2] == "monitord: ok watched=2 space=ok"


def test_the_daemon_names_what_is_gone(site: Site) -> None:
    site.path("registry").unlink()
    beat(str(site.path("monitor")))
    assert _beats(site)[-1].endswith(f"alert watched=2 space=ok missing={site.path('registry')}")


@pytest.mark.parametrize("text", ["[monitor]\nenabled = false\n", "", "[monitor\n", "[monitor]\nenabled = perhaps\n"])
def test_a_daemon_that_is_switched_off_or_misled_writes_nothing_and_lives_on(site: Site, text: str) -> None:
    site.path("monitor").write_text(text)
    before = _beats(site)
    assert beat(str(site.path("monitor"))) == 15
    assert _beats(site) == before
