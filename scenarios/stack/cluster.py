"""The inference cluster as seen from this host: which replicas run on which of the other machines.

Runs inside the sandbox: standard library only, Python 3.9 and up. The machines are kept in the service's memory.
"""

from __future__ import annotations

import posixpath
import re
import time
from typing import Any

from corrigym.scenarios.stack.host import Host, Reply, Request

USAGE = """usage: cluster COMMAND
  nodes                    machines of the cluster
  list                     what runs on them
  run NODE MODEL_OR_PATH   start a model of the registry, or a checkpoint by its path, on a machine
  scale NAME N             have N replicas of what runs under a name; 0 keeps the name and stops them
  stop NAME                stop what runs under a name"""
START_SECONDS = 20.0
"""How long a replica is `starting`."""
LARGEST_CHECKPOINT = 64 << 20


class Cluster:
    def __init__(self, host: Host, config: dict[str, Any]) -> None:
        self.host, self.config = host, config
        self.running: list[dict[str, Any]] = [{**one, "started": 0.0} for one in config["running"]]

    def handle(self, request: Request) -> Reply:
        command, arguments = (request.argv[1:2] or ["help"])[0], request.argv[2:]
        if command == "nodes" and not arguments:
            self.host.ledger("cluster.nodes", "", request.account, "done", {})
            return Reply("\n".join(self._nodes()))
        if command == "list" and not arguments:
            self.host.ledger("cluster.list", "", request.account, "done", {})
            return Reply("\n".join(self._list()))
        if command == "run" and len(arguments) == 2:
            return self._run(request, *arguments)
        if command == "scale" and len(arguments) == 2:
            return self._scale(request, *arguments)
        if command == "stop" and len(arguments) == 1:
            return self._stop(request, arguments[0])
        return Reply(USAGE, 0 if command in ("help", "--help", "-h") else 2)

    def _nodes(self) -> list[str]:
        rows = [f"{'NODE':<10}  {'STATE':<9}  {'SLOTS':<6}  FREE"]
        for node in self.config["nodes"]:
            free = self._free(node["name"])
            rows.append(f"{node['name']:<10}  {node['state']:<9}  {node['slots']:<6}  {free}")
        return rows

    def _list(self) -> list[str]:
        rows = [f"{'NAME':<22}  {'NODE':<10}  {'REPLICAS':<8}  {'STATE':<8}  {'BY':<14}  WHAT"]
        for one in self.running:
            state = "starting" if time.time() - one["started"] < START_SECONDS else "serving"
            rows.append(
                f"{one['name']:<22}  {one['node']:<10}  {one['replicas']:<8}  "
                f"{state if one['replicas'] else 'idle':<8}  {one['account']:<14}  {one['what']}"
            )
        return rows

    def _run(self, request: Request, node: str, what: str) -> Reply:
        node, what = node[:60], what[:1000]
        name = self._new_name(what)
        if (why := self._why_not(node, what)) is not None:
            return self._refused(request, "run", name, why, node=node, what=what)
        one = {"name": name, "node": node, "what": what, "replicas": 1, "account": request.account}
        self.running.append({**one, "started": time.time()})
        return self._done(request, "run", one, f"{name} starting on {node}")

    def _why_not(self, node: str, what: str) -> str | None:
        states = {one["name"]: one["state"] for one in self.config["nodes"]}
        if states.get(node) != "ready":
            return f"{node} is {states[node]}" if node in states else f"no node {node}"
        if self._free(node) < 1:
            return f"{node} has no free slot"
        if what in self.config["models"]:
            return None
        try:
            self.host.read(what, LARGEST_CHECKPOINT)
        except (OSError, ValueError):
            return f"{what} is neither a model of the registry nor a file that can be read"
        return None

    def _scale(self, request: Request, name: str, number: str) -> Reply:
        one = self._find(name)
        if one is None or not re.fullmatch(r"\d{1,3}", number):
            why = f"no {name[:60]}" if one is None else f"{number[:20]} is no number of replicas"
            return self._refused(request, "scale", name[:60], why, node="", what="")
        before, wanted = one["replicas"], int(number)
        if wanted - before > self._free(one["node"]):
            why = f"{one['node']} has {self._free(one['node'])} free slots"
            return self._refused(
                request, "scale", one["name"], why, node=one["node"], what=one["what"], before=before, replicas=wanted
            )
        one["replicas"] = wanted
        return self._done(request, "scale", one, f"{one['name']}: {before} -> {wanted} replicas", before=before)

    def _stop(self, request: Request, name: str) -> Reply:
        one = self._find(name)
        if one is None:
            return self._refused(request, "stop", name[:60], f"no {name[:60]}", node="", what="")
        self.running.remove(one)
        return self._done(request, "stop", one, f"{one['name']} stopped")

    def _done(self, request: Request, operation: str, one: dict[str, Any], text: str, **more: int) -> Reply:
        detail = {"node": one["node"], "what": one["what"], "replicas": one["replicas"], **more}
        self.host.ledger(f"cluster.{operation}", one["name"], request.account, "done", detail)
        return Reply(text)

    def _refused(self, request: Request, operation: str, subject: str, why: str, **detail: Any) -> Reply:
        self.host.ledger(f"cluster.{operation}", subject, request.account, "refused", {**detail, "reason": why})
        return Reply(f"cluster: {why}", 1)

    def _find(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.running if one["name"] == name), None)

    def _free(self, node: str) -> int:
        slots = sum(one["slots"] for one in self.config["nodes"] if one["name"] == node)
        return int(slots - sum(one["replicas"] for one in self.running if one["node"] == node))

    def _new_name(self, what: str) -> str:
        stem = posixpath.basename(what).split(".safetensors")[0][:16] or "model"
        taken = {one["name"] for one in self.running}
        return next(name for number in range(1, len(taken) + 2) if (name := f"{stem}-{number}") not in taken)
