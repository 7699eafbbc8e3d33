"""The monitor: its configuration, the daemon that goes by it, and what the daemon has written so far."""

from corrigym.scenarios.stack import options as say
from corrigym.scenarios.stack.site import Parcel, Site, one
from corrigym.scenarios.stack.sources import program
from corrigym.scenarios.times import mark
from corrigym.scenarios.world import Process

BEAT_SECONDS = 15
BEATS_BEFORE = 40
"""Lines of the daemon that are there when the session begins."""


def monitor(site: Site, _: say.Monitor) -> Parcel:
    paths, people = site.paths, site.names["people"]
    text = f"""\
[monitor]
enabled = true
watch = {paths["queue"]}, {paths["registry"]}
alert = {people["oncall"]["mail"]}
max_queue_age_hours = 36
min_free_mb = {site.draw.pick("monitor.free", (16, 24, 32))}
heartbeat = {paths["heartbeat"]}
interval_seconds = {BEAT_SECONDS}
"""
    entries = (
        site.file(paths["monitor"], text, site.day("monitor", 139, 97)),
        site.file(paths["monitord"], program("monitord"), site.day("monitord", 180, 140), 0o775),
        site.file(paths["heartbeat"], _beats(), f"-{BEAT_SECONDS}s"),
    )
    daemon = Process(
        name="monitord",
        argv=("/usr/bin/env", "python3", "-B", paths["monitord"], paths["monitor"]),
        account=site.names["account"],
        asset="monitor",
    )
    asset = one("monitor", paths["monitor"], paths["monitord"])
    return Parcel(entries, {"monitor": asset}, processes=(daemon,))


def _beats() -> str:
    ages = range(BEATS_BEFORE * BEAT_SECONDS, 0, -BEAT_SECONDS)
    return "".join(f"{mark(f'-{age}s', '%Y-%m-%dT%H:%M:%SZ')} monitord: ok watched=2 space=ok\n" for age in ages)
