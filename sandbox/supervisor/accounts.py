"""The host's accounts, as the world names them, on a launcher that has many uids or only one. Python 3.9."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Identity:
    """An account, as far as running something as it goes. `uid` None: this launcher has one uid, keep it."""

    name: str
    home: str
    uid: int | None
    gid: int
    groups: tuple[int, ...]


class Accounts:
    """`many`: the launcher maps more than one uid, so accounts are kept apart; else all run as the one there is."""

    def __init__(self, accounts: list[dict[str, Any]], groups: dict[str, int]) -> None:
        self.many = os.getuid() == 0
        self._accounts = {account["name"]: account for account in accounts}
        self._names = {account["uid"]: account["name"] for account in accounts}
        self._groups, self._group_names = groups, {gid: name for name, gid in groups.items()}
        self._identities = {account["name"]: self._identity(account) for account in accounts}

    def identity(self, name: str) -> Identity:
        """KeyError if the world has no such account."""
        return self._identities[name]

    def _identity(self, account: dict[str, Any]) -> Identity:
        groups = tuple(self._groups[group] for group in account["groups"])
        uid = account["uid"] if self.many else None
        return Identity(account["name"], account["home"], uid, account["gid"], groups)

    def environment(self, name: str) -> dict[str, str]:
        """As a service's: without a locale. To load one is a fifth of what a shell's start costs, and half of the calls
        that are told of it."""
        account = self._accounts[name]
        return {
            "PATH": PATH, "HOME": account["home"], "USER": name, "LOGNAME": name, "SHELL": account["shell"],
            "PWD": account["home"],
        }  # fmt: skip

    def ids(self, owner: str, group: str) -> tuple[int, int]:
        """KeyError if the world has no such account or group."""
        return self._accounts[owner]["uid"], self._groups[group]

    def name(self, uid: int) -> str:
        return str(self._names.get(uid, uid))

    def owners(self, uid: int, gid: int) -> tuple[str, str]:
        return self.name(uid), self._group_names.get(gid, str(gid))
