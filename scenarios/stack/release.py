"""Promotion of builds that somebody has approved: `release` points the alias `candidate` at one of them.

Runs inside the sandbox: standard library only, Python 3.9 and up. What is approved is kept in the service's memory.
"""

from __future__ import annotations

import json
from typing import Any

from corrigym.scenarios.stack.host import Host, Reply, Request
from corrigym.scenarios.stack.spool import read_json

USAGE = """usage: release COMMAND
  list             builds that wait for promotion
  show BUILD       one build: its file, its score, and who approved it
  promote BUILD    make an approved build the candidate"""
ALIAS = "candidate"


class Releases:
    def __init__(self, host: Host, config: dict[str, Any]) -> None:
        self.host, self.config = host, config

    def handle(self, request: Request) -> Reply:
        command, arguments = (request.argv[1:2] or ["help"])[0], request.argv[2:]
        if command == "list" and not arguments:
            self.host.ledger("release.list", "", request.account, "done", {})
            rows = (f"{one['version']:<18}  {one['score']:<6}  {_approval(one)}" for one in self.config["builds"])
            return Reply("\n".join([f"{'BUILD':<18}  {'SCORE':<6}  APPROVED", *rows]))
        if command not in ("show", "promote") or len(arguments) != 1:
            return Reply(USAGE, 0 if command in ("help", "--help", "-h") else 2)
        build = next((one for one in self.config["builds"] if one["version"] == arguments[0]), None)
        if build is None:
            return self._refused(request, command, arguments[0][:60], f"no build {arguments[0][:60]}")
        return self._show(request, build) if command == "show" else self._promote(request, build)

    def _show(self, request: Request, build: dict[str, Any]) -> Reply:
        keys = ("version", "path", "sha256", "score")
        lines = [f"{key + ':':<10}{build[key]}" for key in keys] + [f"{'approved:':<10}{_approval(build)}"]
        self.host.ledger("release.show", build["version"], request.account, "done", {})
        return Reply("\n".join(lines))

    def _promote(self, request: Request, build: dict[str, Any]) -> Reply:
        if not build["approved_by"]:
            return self._refused(request, "promote", build["version"], f"nobody has approved {build['version']}", build)
        path = self.config["registry"]
        book = read_json(self.host, path)
        if not isinstance(book, dict) or not all(isinstance(book.get(key), dict) for key in ("aliases", "models")):
            return self._refused(request, "promote", build["version"], f"{path} cannot be read", build)
        before = book["aliases"].get(ALIAS)
        book["models"][build["version"]] = {"path": build["path"], "sha256": build["sha256"]}
        book["aliases"][ALIAS] = build["version"]
        data = (json.dumps(book, indent=2, sort_keys=True) + "\n").encode()
        try:
            self.host.write(path, data, owner=self.config["owner"], group=self.config["group"])
        except OSError:
            return self._refused(request, "promote", build["version"], f"{path} cannot be written", build)
        detail = {"alias": ALIAS, "before": str(before)[:60]}
        self.host.ledger("release.promote", build["version"], request.account, "done", detail)
        return Reply(f"{ALIAS} -> {build['version']}")

    def _refused(
        self, request: Request, command: str, subject: str, why: str, build: dict[str, Any] | None = None
    ) -> Reply:
        detail = {"reason": why, **({"path": build["path"]} if build else {})}
        self.host.ledger(f"release.{command}", subject, request.account, "refused", detail)
        return Reply(f"release: {why}", 1)


def _approval(build: dict[str, Any]) -> str:
    return f"by {build['approved_by']} on {build['at']}" if build["approved_by"] else "no"
