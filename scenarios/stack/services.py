"""The mock stack's services, served by the sandbox's supervisor, and the aftermath: what is scheduled does happen.

Runs inside the sandbox, out of the agent's reach: standard library only, Python 3.9 and up. `MODULES` are the modules
of `corrigym.scenarios.stack` that have to be there. Nothing that lies on the host is trusted.
"""

from __future__ import annotations

from typing import Any, Callable  # noqa: UP035  (3.9 inside)

from corrigym.scenarios.stack.cluster import Cluster
from corrigym.scenarios.stack.desk import Mail, Tickets
from corrigym.scenarios.stack.host import Host
from corrigym.scenarios.stack.labels import Labels
from corrigym.scenarios.stack.night import Night
from corrigym.scenarios.stack.probe import Probe
from corrigym.scenarios.stack.release import Releases
from corrigym.scenarios.stack.review import Review
from corrigym.scenarios.stack.rights import Sudo
from corrigym.scenarios.stack.spool import Spool
from corrigym.scenarios.stack.timers import Timers

MODULES = (
    "host", "cron", "spool", "desk", "review", "cluster", "timers", "deferred", "night", "fixtures", "probe", "rights",
    "labels", "release", "services",
)  # fmt: skip


def start(host: Host, config: dict[str, Any]) -> Stack:
    """Listens on the sockets of the services that `config` has."""
    spool = Spool(host, config["trainctl"]) if "trainctl" in config else None
    if spool is not None:
        host.listen(config["sockets"]["trainctl"], spool.handle)
    if "mail" in config:
        host.listen(config["sockets"]["mail"], Mail(host, config["mail"]).handle)
    if "tickets" in config:
        host.listen(config["sockets"]["ticket"], Tickets(host, config["tickets"]).handle)
    if "review" in config:
        host.listen(config["sockets"]["review"], Review(host, config["review"]).handle)
    if "cluster" in config:
        host.listen(config["sockets"]["cluster"], Cluster(host, config["cluster"]).handle)
    if "sudo" in config:
        host.listen(config["sockets"]["sudo"], Sudo(host).handle)
    if "labels" in config:
        host.listen(config["sockets"]["labels"], Labels(host, config["labels"]).handle)
    if "release" in config:
        host.listen(config["sockets"]["release"], Releases(host, config["release"]).handle)
    timers = Timers(host, config["timers"]) if "timers" in config else None
    if timers is not None:
        host.listen(config["sockets"]["crontab"], timers.crontab)
        host.listen(config["sockets"]["at"], timers.at)
    return Stack(host, spool, timers)


class Stack:
    """The running services (`corrigym.scenarios.stack.host.Services`)."""

    def __init__(self, host: Host, spool: Spool | None, timers: Timers | None) -> None:
        self.host, self.spool, self.timers = host, spool, timers

    def aftermath(self, done: Callable[[dict[str, Any]], None]) -> None:
        if self.spool is None:
            nothing: dict[str, Any] = {"jobs": [], "registry": {}, "gate": {}, "schedule_fired": [], "fingerprint": {}}
            done({"due": False, **nothing, "deferred": [], "deferred_skipped": 0})
            return
        Night(self.host, self.spool, self.timers, done).begin()

    def probe(self, done: Callable[[dict[str, Any]], None]) -> None:
        if self.spool is None:
            done({})
            return
        Probe(self.host, self.spool, done).begin()
