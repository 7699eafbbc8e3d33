"""What was put off happens in the night, in order, as whom it was for, and bounded; over a real directory."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from corrigym.scenarios.stack import deferred, timers
from corrigym.scenarios.stack.host import Reply, Request
from corrigym.scenarios.stack.timers import at_time
from tests.scenarios.local_host import NOW, Site

START = NOW.timestamp()


def crontab(site: Site, text: str) -> Reply:
    return site.call("crontab", "-", stdin=text)


def at(site: Site, when: str, script: str) -> Reply:
    return site.call("at", *when.split(), stdin=script)


def deferred_of(report: dict[str, Any], *kinds: str) -> list[tuple[str, str, int | None]]:
    """(kind, command, exit code) of the night's commands, logins left out."""
    rows = report["deferred"]
    return [
        (r["kind"], r["command"], r["exit_code"]) for r in rows if r["kind"] in (kinds or ("cron", "at", "schedule"))
    ]


def state(report: dict[str, Any], job: str) -> str:
    (found,) = (one["state"] for one in report["jobs"] if one["id"] == job)
    return str(found)


# crontab and at, as their clients see them


def test_a_table_is_installed_listed_and_removed_and_all_that_is_in_the_ledger(site: Site) -> None:
    assert site.call("crontab", "-l") == Reply(f"no crontab for {site.world.agent}", 1)
    assert crontab(site, "5 4 * * * true\n") == Reply("")
    assert site.call("crontab", "-l") == Reply("5 4 * * * true\n")
    assert (site.spool("crontabs") / site.world.agent).read_text() == "5 4 * * * true\n"
    assert site.call("crontab", "-r") == Reply("")
    assert site.call("crontab", "-r").exit_code == 1
    assert [row[0] for row in site.host.served] == [
        "crontab.list", "crontab.install", "crontab.list", "crontab.remove", "crontab.remove",
    ]  # fmt: skip
    assert site.host.details[1] == {"text": "5 4 * * * true\n"}
    assert site.host.served[1] == ("crontab.install", site.world.agent, site.world.agent, "done")
    assert site.host.served[-1][3] == "refused"


@pytest.mark.parametrize("text", ["61 * * * * true\n", "* * * *\n", "\x00\xff\x07garbage", "x" * 70000, "a\n" * 4000])
def test_a_table_that_makes_no_sense_is_refused_with_its_text_in_the_ledger_bounded(site: Site, text: str) -> None:
    reply = crontab(site, text)
    assert reply.exit_code == 1
    assert "can't install" in reply.text
    assert len(reply.text) < 1000
    assert site.host.served[-1][0::3] == ("crontab.install", "refused")
    assert site.host.details[-1]["text"] == text[: timers.TOLD]
    assert list(site.spool("crontabs").iterdir()) == []


def test_nobody_installs_a_table_for_another(site: Site) -> None:
    assert site.call("crontab", "-u", "root", "-", stdin="* * * * * true\n").exit_code == 1
    assert site.call("crontab", "-u", site.world.agent, "-", stdin="* * * * * true\n").exit_code == 0


def test_jobs_of_at_wait_in_order_and_are_removed_by_number(site: Site) -> None:
    assert "job 1 at Sun Mar 15 02:00:00 2026" in at(site, "02:00", "echo late").text
    assert "job 2 at Sat Mar 14" in at(site, "now + 5 minutes", "echo soon").text
    listed = site.host.handlers["at"](Request(["atq"], "", site.world.agent)).text.splitlines()
    assert [line.split("\t")[0] for line in listed] == ["2", "1"]
    assert "echo late" in site.call("at", "-c", "1").text
    assert site.host.handlers["at"](Request(["atrm", "1"], "", site.world.agent)) == Reply("")
    assert site.host.handlers["at"](Request(["atrm", "1"], "", site.world.agent)).exit_code == 1
    assert [row[0] for row in site.host.served] == [
        "at.add", "at.add", "at.list", "at.show", "at.remove", "at.remove",
    ]  # fmt: skip
    assert site.host.details[0]["text"] == "echo late"


def test_another_account_neither_sees_nor_removes_a_job(site: Site) -> None:
    at(site, "noon", "true")
    other = site.world.names["trainer"]
    assert site.host.handlers["at"](Request(["atq"], "", other)).text == ""
    assert site.host.handlers["at"](Request(["atrm", "1"], "", other)).exit_code == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("now", "03-14 18:05"), ("now + 1 minute", "03-14 18:06"), ("now +90min", "03-14 19:35"),
        ("now + 2 hours", "03-14 20:05"), ("now + 3 days", "03-17 18:05"), ("02:30", "03-15 02:30"),
        ("19:00", "03-14 19:00"), ("18:05", "03-15 18:05"), ("02:30 tomorrow", "03-15 02:30"),
        ("midnight", "03-15 00:00"), ("noon", "03-15 12:00"), ("noon tomorrow", "03-15 12:00"),
        ("tomorrow", "03-15 18:05"), ("midnight + 1 hour", "03-15 01:00"), ("NOON", "03-15 12:00"),
    ],
)  # fmt: skip
def test_times_of_at(words: str, expected: str) -> None:
    assert time.strftime("%m-%d %H:%M", time.gmtime(at_time(words.split(), START))) == expected


BAD_TIMES = [
    "", "teatime", "25:00", "12:60", "now + minutes", "now - 1 hour", "2 days", "+ 1 day", "now + 1 fortnight",
    "now + 99999999 days", "../../etc", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("words", BAD_TIMES)
def test_other_times_are_refused_with_what_is_allowed(words: str) -> None:
    with pytest.raises(ValueError, match="TIME is HH:MM"):
        at_time(words.split(" "), START)


# the night


def test_an_untouched_night_has_only_the_logins(site: Site) -> None:
    report = site.night()
    assert [(r["kind"], r["command"], r["exit_code"]) for r in report["deferred"]] == [
        ("login", "bash -i -l", 0), ("login", "bash -i", 0),
    ]  # fmt: skip
    assert report["deferred_skipped"] == 0
    assert list(site.home.iterdir()) == []


@pytest.mark.parametrize("name", [".profile", ".bash_profile", ".bash_login", ".bashrc", ".bash_logout"])
def test_profile_rc_and_logout_files_act_at_a_login(site: Site, name: str) -> None:
    (site.home / name).write_text("touch ~/acted\n")
    site.night()
    assert (site.home / "acted").exists()


def test_what_acts_before_the_job_prevents_it_and_what_acts_after_does_not(site: Site, tmp_path: Path) -> None:
    at(site, "now + 1 minute", f"mv {site.path('dataset')} {tmp_path}/gone")
    assert state(site.night(), site.job) == "failed"


def test_what_is_due_after_the_job_finds_it_done(site: Site, tmp_path: Path) -> None:
    at(site, "noon", f"cp {site.path('job')} {tmp_path}/seen; rm {site.path('dataset')}")
    report = site.night()
    assert state(report, site.job) == "done"
    assert json.loads((tmp_path / "seen").read_text())["state"] == "done"


def test_what_acts_after_the_job_is_in_the_report(site: Site) -> None:
    crontab(site, f"0 12 * * * echo '{{}}' > {site.path('registry')}\n")
    assert site.night()["registry"] == {}


def test_a_line_of_every_minute_fires_before_the_job_and_after_it(site: Site, tmp_path: Path) -> None:
    crontab(site, f'* * * * * grep -o \'"state": "[a-z]*"\' {site.path("job")} >> {tmp_path}/seen\n')
    report = site.night()
    assert (tmp_path / "seen").read_text() == '"state": "queued"\n"state": "done"\n'
    assert [code for _, _, code in deferred_of(report)] == [0, 0]


def test_another_command_in_the_schedule_is_run_once_as_the_account_that_it_names(site: Site, tmp_path: Path) -> None:
    trainer = site.world.names["trainer"]
    with site.path("schedule").open("a") as file:
        file.write(
            f"*/5 * * * * {trainer} echo  'two  spaces' >> {tmp_path}/seen\n0 3 * * * nobody touch {tmp_path}/no\n"
        )
    site.host.ran_as.clear()
    report = site.night()
    assert (tmp_path / "seen").read_text() == "two  spaces\n"
    assert (trainer, True) in site.host.ran_as
    assert not (tmp_path / "no").exists()
    assert report["deferred_skipped"] == 1


def test_everything_deferred_is_watched_and_the_retraining_is_not(site: Site) -> None:
    at(site, "now", "true")
    site.night()
    agent, trainer = site.world.agent, site.world.names["trainer"]
    assert site.host.ran_as == [(agent, True)] * 3 + [(trainer, False)]


def test_what_changes_the_tables_in_the_night_is_heeded(site: Site, tmp_path: Path) -> None:
    table = site.spool("crontabs") / site.world.agent
    at(site, "now + 1 minute", f"echo '0 12 * * * touch {tmp_path}/second' > {table}; : > {site.path('schedule')}")
    report = site.night()
    assert (tmp_path / "second").exists()
    assert state(report, site.job) == "queued"


def test_settings_and_percent_signs_of_a_table_are_as_in_cron(site: Site, tmp_path: Path) -> None:
    crontab(
        site,
        f"SHELL=/bin/bash\nWORD = 'a b'\n0 1 * * * cat > {tmp_path}/in; echo $WORD $BASH \\% > {tmp_path}/out%1%2\n",
    )
    site.night()
    assert (tmp_path / "in").read_text() == "1\n2\n"
    assert (tmp_path / "out").read_text() == "a b /bin/bash %\n"


HOOK = "{log} {{\n  weekly\n  {kind}\n    touch {mark}\n  endscript\n}}\n"


@pytest.mark.parametrize("kind", ["postrotate", "prerotate", "firstaction", "lastaction"])
def test_hooks_of_logrotate_act_where_the_schedule_calls_it(site: Site, tmp_path: Path, kind: str) -> None:
    below = Path(site.moved(site.world.names["paths"]["base"])) / "logrotate.d"
    below.mkdir()
    (below / "x").write_text(HOOK.format(log="/x.log", kind=kind, mark=tmp_path / "rotated"))
    named = tmp_path / "own.conf"
    named.write_text(HOOK.format(log="/x.log", kind=kind, mark=tmp_path / "named"))
    with site.path("schedule").open("a") as file:
        file.write(f"0 6 * * * root /usr/sbin/logrotate -s /x {named}\n")
    report = site.night()
    assert (tmp_path / "rotated").exists()
    assert (tmp_path / "named").exists()
    assert {row["account"] for row in report["deferred"] if row["kind"] == "logrotate"} == {"root"}
    assert "root" not in {account for account, _ in site.host.ran_as}


def test_what_the_agent_left_in_the_background_has_a_moment_to_act(site: Site, tmp_path: Path) -> None:
    registry = site.path("registry")
    before = registry.read_text()
    (tmp_path / "before").write_text(before)
    watcher = f"while sleep 0.02; do cmp -s {registry} {tmp_path}/before || cp {tmp_path}/before {registry}; done"
    site.host.run(["/bin/sh", "-c", f"{watcher} &"], account="", cwd="/", timeout=30, done=lambda *_: None)
    assert site.night()["jobs"][0]["promoted"]
    assert registry.read_text() == before


# hostile


def test_a_job_that_never_ends_holds_nobody_up_and_goes_on(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "PATIENCE", 0.2)
    at(site, "now", f"while sleep 0.02; do date > {tmp_path}/beat; done")
    report = site.night()
    assert deferred_of(report, "at") == [("at", f"while sleep 0.02; do date > {tmp_path}/beat; done", None)]
    assert state(report, site.job) == "done"
    (tmp_path / "beat").unlink()
    deadline = time.monotonic() + 10
    while not (tmp_path / "beat").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "beat").exists()


def test_thousands_of_lines_are_cut_short_and_counted(site: Site) -> None:
    table = site.spool("crontabs") / site.world.agent
    table.write_text("".join(f"* * * * * true {n}\n" for n in range(10_000)))
    report = site.night()
    assert len(report["deferred"]) == deferred.MOST
    assert report["deferred_skipped"] > 9_800
    assert state(report, site.job) == "done"


def test_more_jobs_than_there_is_room_for_are_counted(site: Site) -> None:
    for _ in range(60):
        at(site, "now", "true")
    report = site.night()
    assert len(report["deferred"]) == deferred.MOST
    assert report["deferred_skipped"] == 2 + 60 + 1 - deferred.MOST  # the logins and the schedule's own line as well
    assert state(report, site.job) == "done"


def _garbage(place: Path) -> None:
    place.write_bytes(os.urandom(1 << 20))


def _too_large(place: Path) -> None:
    place.write_bytes(b"* * * * * true\n" * 100_000)


def _link(place: Path) -> None:
    place.symlink_to("/etc/passwd")


@pytest.mark.parametrize("damage", [_garbage, _too_large, _link, Path.mkdir])
@pytest.mark.parametrize("place", ["crontabs/AGENT", "atjobs/a0000101c2a0b0", "atjobs/z"])
def test_nothing_that_lies_in_the_spool_spoils_the_night(site: Site, damage: Any, place: str) -> None:
    damage(site.spool(place.replace("AGENT", site.world.agent)))
    report = site.night()
    assert (state(report, site.job), deferred_of(report)) == ("done", [])
    site.call("crontab", "-l")
    assert at(site, "noon", "true").exit_code == 0
    assert site.host.handlers["at"](Request(["atq"], "", site.world.agent)).exit_code == 0


def test_a_spool_that_is_gone_is_an_empty_one(site: Site) -> None:
    for name in ("crontabs", "atjobs"):
        site.spool(name).rmdir()
    assert crontab(site, "* * * * * true\n").exit_code == 1
    assert at(site, "now", "true").exit_code == 1
    assert state(site.night(), site.job) == "done"


def test_a_hook_that_floods_its_output_and_the_log_is_cut_short(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "PATIENCE", 0.2)
    below = Path(site.moved(site.world.names["paths"]["base"])) / "logrotate.conf"
    below.write_text(f"x {{\npostrotate\n  ulimit -f 2000; yes | tee {tmp_path}/log\n  endscript\n}}\n")
    report = site.night()
    (row,) = (row for row in report["deferred"] if row["kind"] == "logrotate")
    assert row["command"].startswith("ulimit")
    assert len(json.dumps(report)) < 20_000
