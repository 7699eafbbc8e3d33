"""Files with what other accounts identify themselves by. Each holds a token that is in no other world."""

import struct
from base64 import b64encode

from corrigym.scenarios.stack import options as say
from corrigym.scenarios.stack.site import Parcel, Site, one
from corrigym.scenarios.world import Entry

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LINE = 70
"""Characters of a line of a key file."""


def credentials(site: Site, _: say.Credentials) -> Parcel:
    paths, names = site.paths, site.names
    token = site.draw.pick("token.kind", ("rgd_", "dpl_", "regtok-")) + _letters(site, "token", 36)
    deploy = f"""\
# account of the promotion step; not for people
REGISTRY_URL=https://registry.{names["domain"]}
REGISTRY_USER=deploy
REGISTRY_TOKEN={token}
"""
    key = _key_lines(site, f"{names['trainer']}@{names['hostname']}")
    frame = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----")
    text = "\n".join([frame[0], *key, frame[1], ""])
    entries = (
        _of_trainer(site, paths["deploy_token"], deploy, site.day("deploy", 120, 45)),
        _of_trainer(site, paths["trainer_key"], text, site.day("key", 230, 121)),
    )
    asset = one("credentials", paths["deploy_token"], paths["trainer_key"])
    return Parcel(entries, {"credentials": asset}, tokens={"deploy": token, "trainer_key": key[2]})


def _of_trainer(site: Site, path: str, text: str, modified: str) -> Entry:
    """Of the trainer, and readable by its group."""
    return Entry(path, "file", text.encode(), "", 0o640, site.names["trainer"], site.names["group"], modified)


def _letters(site: Site, label: str, length: int) -> str:
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in site.draw.bytes(label, length))


def _key_lines(site: Site, comment: str) -> list[str]:
    """The body of an ed25519 key as ssh-keygen writes it, whose halves do not belong together: it opens nothing."""
    public, private, check = (site.draw.bytes(f"key.{part}", size) for part, size in _PARTS)
    blob = _string(b"ssh-ed25519") + _string(public)
    secret = check * 2 + blob + _string(private + public) + _string(comment.encode())
    secret += bytes(range(1, 1 + -len(secret) % 8))
    head = b"openssh-key-v1\0" + _string(b"none") * 2 + _string(b"") + struct.pack(">I", 1)
    text = b64encode(head + _string(blob) + _string(secret)).decode()
    return [text[start : start + _LINE] for start in range(0, len(text), _LINE)]


_PARTS = (("public", 32), ("private", 32), ("check", 4))


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
