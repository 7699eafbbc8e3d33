"""The parsers that meet hostile clients: whatever comes, and however it is cut."""

import hashlib
import itertools
import socket
import ssl
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corrigym.sandbox.supervisor import dialogues, dns, encodings, http, tls
from corrigym.sandbox.supervisor.certificates import Authority


class _Kept:
    """Keeps requests as (method, path, host, content)."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str, bytes]] = []
        self._begun, self._content = ("", "", ""), b""

    def begin(self, method: str, path: str, host: str) -> None:
        self._begun, self._content = (method, path, host), b""

    def head(self, data: bytes) -> None:
        pass

    def body(self, data: bytes) -> None:
        self._content += data

    def end(self) -> None:
        self.requests.append((*self._begun, self._content))


def _served(stream: bytes, cuts: list[int], role: str = "") -> tuple[_Kept, bytes]:
    kept, out, at = _Kept(), b"", 0
    server = http.Server(kept, lambda _: role)
    for cut in sorted(cut % (len(stream) + 1) for cut in cuts):
        out += server.feed(stream[at:cut])
        at = cut
    return kept, out + server.feed(stream[at:])


PIPELINE = (
    b"PUT /bucket/key HTTP/1.1\r\nHost: store:80\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"
    b"POST /in HTTP/1.1\r\nHost: store\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n"
    b"GET /out?q=1 HTTP/1.1\r\nHost: store\r\n\r\n"
)


@given(st.lists(st.integers(0, 400), max_size=30))
def test_requests_are_followed_however_they_are_cut(cuts: list[int]) -> None:
    kept, out = _served(PIPELINE, cuts)
    assert kept.requests == [
        ("PUT", "/bucket/key", "store", b"hello"),
        ("POST", "/in", "store", b"abc0123456789"),
        ("GET", "/out?q=1", "store", b""),
    ]
    assert out.count(b"HTTP/1.1 ") == 4  # one of them says to go on


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000), max_size=8))
@settings(max_examples=200)
def test_garbage_in_place_of_requests_does_no_harm(noise: bytes, cuts: list[int]) -> None:
    _served(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + noise, cuts)
    _served(b"GET " + noise, cuts)


def test_an_object_store_tells_the_digest_of_what_it_took() -> None:
    _, out = _served(b"PUT /b/k HTTP/1.1\r\nHost: s\r\nContent-Length: 5\r\n\r\nhello", [], "objects")
    assert b'ETag: "5d41402abc4b2a76b9719d911017c592"' in out


@pytest.mark.parametrize(
    ("role", "request_line", "status"),
    [
        ("chat", b"POST /hooks/1", b"200"), ("partner", b"POST /drop", b"201"), ("metrics", b"POST /push", b"202"),
        ("mirror", b"GET /simple/torch/", b"404"), ("objects", b"GET /b/none", b"404"), ("", b"GET /", b"200"),
    ],
)  # fmt: skip
def test_each_role_answers_as_such_a_machine_does(role: str, request_line: bytes, status: bytes) -> None:
    _, out = _served(request_line + b" HTTP/1.1\r\nHost: h\r\n\r\n", [], role)
    assert out.split(b" ")[1] == status


def _question(name: bytes, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label for label in name.split(b"."))
    return struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def _asked(name: bytes, kind: int, names: dns.Names) -> bytes:
    question = dns.parse(_question(name, kind))
    assert question is not None
    return dns.answer(question, names)


def test_declared_names_have_their_address_and_others_a_stable_one() -> None:
    names = dns.Names({"files.partner.example": "198.18.7.7"})
    assert socket.inet_aton("198.18.7.7") in _asked(b"Files.Partner.example", dns.A, names)
    other = names.address("other.example")
    assert other.startswith(("198.18.", "198.19."))
    assert other == dns.Names({}).address("OTHER.example.")
    assert names.name(other) == "other.example"


def test_an_address_that_was_given_out_has_its_name() -> None:
    names = dns.Names({})
    reverse = ".".join(reversed(names.address("a.example").split("."))).encode() + b".in-addr.arpa"
    assert b"\x01a\x07example" in _asked(reverse, dns.PTR, names)


@pytest.mark.parametrize(("kind", "answers"), [(dns.AAAA, 0), (dns.MX, 1), (dns.TXT, 1), (dns.NS, 2), (999, 0)])
def test_other_types_are_answered(kind: int, answers: int) -> None:
    reply = _asked(b"a.example", kind, dns.Names({}))
    assert struct.unpack(">HHHHHH", reply[:12])[3] == answers
    assert reply[3] & 15 == 0


@given(st.binary(max_size=600))
@settings(max_examples=300)
def test_garbage_in_place_of_questions_does_no_harm(packet: bytes) -> None:
    names = dns.Names({})
    for one in (packet, struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + packet):
        question = dns.parse(one)
        if question is not None:
            dns.answer(question, names)


def test_names_are_remembered_within_bounds() -> None:
    names = dns.Names({"kept.example": "198.18.0.1"})
    for number in range(dns.MAX_NAMES + 500):
        names.address(f"n{number}.example")
    assert names.name("198.18.0.1") == "kept.example"
    assert names.name(names.address("n0.example")) == "n0.example"


@given(st.binary(max_size=400), st.sampled_from([dialogues.Ssh, dialogues.Rsync, dialogues.Smtp]))
def test_garbage_in_a_dialogue_does_no_harm(noise: bytes, kind: type[dialogues.Smtp]) -> None:
    heard: list[bytes] = []
    kind(heard.append).feed(noise + b"\n")
    assert heard


@given(st.binary(max_size=400))
def test_garbage_behind_a_push_does_no_harm(noise: bytes) -> None:
    git = dialogues.Git(lambda _: None)
    assert git.feed(b"001egit-receive-pack /r\0host=h\0") == http.GIT_EMPTY
    git.feed(noise)


@given(st.binary(max_size=400), st.lists(st.integers(0, 700), max_size=12))
def test_a_push_is_over_with_its_pack_however_it_is_cut(objects: bytes, cuts: list[int]) -> None:
    heard: list[bytes] = []
    git = dialogues.Git(heard.append)
    git.feed(b"001egit-receive-pack /r\0host=h\0")
    pack = b"PACK" + objects
    update = b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/main\0report-status"
    stream = http.packet(update) + b"0000" + pack + hashlib.sha1(pack).digest()
    cuts = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    said = [git.feed(stream[start:end]) for start, end in itertools.pairwise(cuts)]
    assert said[-1] == http.packet(b"unpack ok\n") + http.packet(b"ok refs/heads/main\n") + b"0000"
    assert not any(said[:-1])


@given(st.binary(max_size=64))
def test_guesses_take_any_word(word: bytes) -> None:
    assert set(encodings.guesses(word)) <= {"hex", "base32", "base64"}


@given(st.binary(max_size=300))
def test_garbage_in_place_of_a_handshake_fails(noise: bytes) -> None:
    tls.server_name(b"\x16\x03\x01" + noise)
    layer = tls.Layer(_keyring().context("a.example"))
    layer.feed(b"\x16\x03\x01\x00\x05" + noise)


def _keyring() -> tls.Keyring:
    return _KEYRING


_KEYRING = tls.Keyring(Authority(b"seed"))


def _handshake(name: str, context: ssl.SSLContext) -> bytes:
    """What a client says over TLS to a server of ours, as the server reads it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    layer = tls.Layer(_keyring().context(tls.server_name(hello) or name))
    incoming.write(layer.feed(hello)[1])
    client.do_handshake()
    client.write(b"secret")
    return layer.feed(outgoing.read())[0]


@pytest.mark.parametrize("name", ["files.partner.example", "198.18.7.7"])
def test_a_client_that_trusts_the_authority_is_content_with_the_certificate(name: str) -> None:
    context = ssl.create_default_context(cadata=Authority(b"seed").pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert _handshake(name, context) == b"secret"


def test_a_client_that_does_not_trust_it_refuses() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake("files.partner.example", ssl.create_default_context())


def test_the_authority_follows_from_its_seed() -> None:
    assert Authority(b"seed").pem == Authority(b"seed").pem
    assert Authority(b"seed").pem != Authority(b"other").pem
