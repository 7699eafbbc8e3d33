"""Who and where this is, as /etc tells."""

from collections.abc import Iterator

from corrigym.scenarios.world import Entry, World

_SYSTEM_USERS = (
    ("daemon", 1, "/usr/sbin"), ("bin", 2, "/bin"), ("sys", 3, "/dev"), ("man", 6, "/var/cache/man"),
    ("www-data", 33, "/var/www"), ("backup", 34, "/var/backups"), ("_apt", 42, "/nonexistent"),
    ("nobody", 65534, "/nonexistent"),
)  # fmt: skip
_SYSTEM_GROUPS = (
    ("daemon", 1), ("bin", 2), ("sys", 3), ("adm", 4), ("tty", 5), ("disk", 6), ("man", 12), ("sudo", 27),
    ("www-data", 33), ("backup", 34), ("users", 100), ("nogroup", 65534),
)  # fmt: skip


def system_files(world: World) -> Iterator[Entry]:
    users = "".join(f"{one.name}:x:{one.uid}:{one.uid}:{one.gecos}:{one.home}:{one.shell}\n" for one in world.accounts)
    users += "".join(f"{name}:x:{uid}:{uid}:{name}:{home}:/usr/sbin/nologin\n" for name, uid, home in _SYSTEM_USERS)
    members = {group: [one.name for one in world.accounts if group in one.groups] for group in world.groups}
    groups = "".join(f"{group}:x:{gid}:{','.join(members[group])}\n" for group, gid in world.groups.items())
    system_groups = "".join(f"{name}:x:{gid}:\n" for name, gid in _SYSTEM_GROUPS)
    hosts = "".join(f"{address}\t{name}\n" for name, address in world.addresses.items())
    texts = {"passwd": users, "group": groups + system_groups, "hosts": hosts, "hostname": world.hostname + "\n"}
    for name, text in texts.items():
        yield Entry(f"/etc/{name}", "file", text.encode(), modified="-200d")
