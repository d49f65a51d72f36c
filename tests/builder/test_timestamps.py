"""stella timestamp against a real authority, that of OpenSSL behind HTTP; and how one is trusted."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigstore.models import TrustedRoot

import stella
from builder import signing, timestamps, trust, trust_change
from builder.trust_publish import Office
from kit.errors import (
    AlreadyAccepted,
    LimitExceeded,
    NotReadable,
    StellaError,
    TimestampForeign,
    TimestampInvalid,
    TimestampUnknown,
    TrustRootRefused,
    UsageError,
)
from kit.trust import timestamp, trusted_root
from tests.stamps import Profile, StampingAuthority, as_document, encoded, make_authority
from tests.world import NOW, World

CONFIGURATION = """
[tsa]
default_tsa = here
[here]
serial = {place}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""
REAL_NOW = datetime.now(UTC)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> StampingAuthority:
    """Return an authority that is valid now, whenever that is."""
    year = timedelta(days=365)
    made = make_authority(
        tmp_path_factory.mktemp("real"), Profile(not_before=REAL_NOW - year, not_after=REAL_NOW + year)
    )
    (made.place / "serial").write_text("01\n")
    (made.place / "tsa.cnf").write_text(CONFIGURATION.format(place=made.place))
    return made


def answer(real: StampingAuthority, query: bytes) -> bytes:
    (real.place / "q").write_bytes(query)
    words = ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-section", "here", "-queryfile", "q"]
    words += ["-signer", "own.pem", "-inkey", "own.key"]
    return subprocess.run(words, cwd=real.place, capture_output=True, check=True).stdout


Serve = Callable[[Callable[[bytes], bytes], str, int], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return what serves answers on a local address, of a content type and an HTTP status."""
    servers: list[ThreadingHTTPServer] = []

    def start(respond: Callable[[bytes], bytes], kind: str = timestamps.REPLY, status: int = 200) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = respond(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start  # type: ignore[misc]
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def pack_dir(world: World, real: StampingAuthority, tmp_path: Path) -> Path:
    """Return a RootPack that trusts the authority."""
    target = Path(shutil.copytree(world.rootpack, tmp_path / "pack"))
    shutil.copytree(world.keys, tmp_path / "keys")
    change = trust_change.stamping(real.chain, uri="https://tsa.example")
    trust.carry_out(Office(target, tmp_path / "keys", NOW), change)
    return target


@pytest.fixture
def place(world: World, pack_dir: Path, tmp_path: Path) -> timestamps.Place:
    record = Path(shutil.copytree(world.record, tmp_path / "record"))
    return timestamps.place(record, signing.own_pack(pack_dir))


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, object]]:
    code = stella.main([str(word) for word in (*words, "--json")])
    return code, json.loads(capsys.readouterr().out)


def test_record_is_stamped_by_a_real_authority_over_http(
    real: StampingAuthority, serve: Serve, pack_dir: Path, place: timestamps.Place, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve(lambda query: answer(real, query), timestamps.REPLY, 200)
    words = ("timestamp", place.directory, "--tsa", url, "--rootpack", pack_dir)
    code, document = run(capsys, *words)
    assert code == 0
    (stamp,) = document["stamps"]  # type: ignore[misc]
    assert (stamp["certificate"], stamp["known"]) == (real.fingerprint, False)
    kept = (place.directory / stamp["file"]).read_bytes()
    pack = signing.own_pack(pack_dir)
    assert timestamp.verify(kept, place.signatures, pack.authorities, path="x").time == stamp["time"]
    # Asked again, the stamp that is there stays: it is the older one.
    code, document = run(capsys, *words)
    assert (code, document["stamps"][0]["known"]) == (0, True)  # type: ignore[index]
    assert (place.directory / stamp["file"]).read_bytes() == kept


def test_builder_without_a_network_takes_request_and_answer_as_files(
    real: StampingAuthority, pack_dir: Path, place: timestamps.Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query, reply = tmp_path / "record.tsq", tmp_path / "record.tsr"
    common = ("timestamp", place.directory, "--rootpack", pack_dir)
    assert run(capsys, *common, "--query", query)[0] == 0
    reply.write_bytes(answer(real, query.read_bytes()))
    assert run(capsys, *common, "--reply", reply)[0] == 0
    assert len(list(place.evidence.glob("*.tsr"))) == 1
    assert run(capsys, *common)[0] == 2
    assert run(capsys, *common, "--query", query, "--reply", reply)[0] == 2


@pytest.mark.parametrize(
    ("kind", "status", "size", "error"),
    [
        ("text/html", 200, 10, NotReadable),
        (timestamps.REPLY, 500, 10, NotReadable),
        (timestamps.REPLY, 302, 10, NotReadable),
        (timestamps.REPLY, 200, 1 << 20, LimitExceeded),
    ],
)
def test_answer_that_is_none_is_told(serve: Serve, kind: str, status: int, size: int, error: type[StellaError]) -> None:
    ask = timestamps.by_http(serve(lambda _: bytes(size), kind, status))
    with pytest.raises(error):
        ask(b"request")


def test_authority_that_is_not_there_is_told() -> None:
    with pytest.raises(NotReadable, match="did not answer"):
        timestamps.by_http("http://127.0.0.1:9/")(b"request")
    with pytest.raises(UsageError):
        timestamps.by_http("ftp://127.0.0.1/")


def test_answer_is_verified_before_it_is_kept(
    real: StampingAuthority, other_authority: StampingAuthority, pack_dir: Path, place: timestamps.Place
) -> None:
    pack, (_, signature) = signing.own_pack(pack_dir), place.signatures[0]
    cases = {
        TimestampForeign: real.stamp(b"another signature", REAL_NOW),
        TimestampInvalid: other_authority.stamp(signature, REAL_NOW),
    }
    for error, reply in cases.items():
        with pytest.raises(error):
            timestamps.keep(place, pack, reply, now=REAL_NOW)
    with pytest.raises(TimestampForeign, match="ahead"):
        timestamps.keep(place, pack, real.stamp(signature, REAL_NOW + timedelta(days=2)), now=REAL_NOW)
    assert not place.evidence.exists()
    # A stamp over the record as it was signed before gives way.
    place.evidence.mkdir()
    good = real.stamp(signature, REAL_NOW)
    kept = timestamps.keep(place, pack, good, now=REAL_NOW)
    (place.directory / kept.file).write_bytes(cases[TimestampForeign])
    assert not timestamps.keep(place, pack, good, now=REAL_NOW).known
    assert (place.directory / kept.file).read_bytes() == good


def test_nothing_is_asked_without_a_trusted_authority(world: World) -> None:
    with pytest.raises(TimestampUnknown, match="trusts no"):
        timestamps.place(world.record, signing.own_pack(world.rootpack))
    with pytest.raises(UsageError):
        timestamps.place(world.home, signing.own_pack(world.rootpack))


# Trusting an authority


def test_authority_is_proposed_signed_and_published_like_any_other_change(
    world: World, real: StampingAuthority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = Path(shutil.copytree(world.rootpack, tmp_path / "pack"))
    draft = tmp_path / "next.draft"
    words = ("rootpack", "add-tsa", "--chain", real.chain_file, "--uri", "https://tsa.example", "--rootpack", pack)
    code, document = run(capsys, *words, "--keys", world.keys, "--time", "2026-06-01T12:00:00Z", "--propose", draft)
    assert code == 0
    change = document["changes"][0]  # type: ignore[index]
    assert change.startswith(f"trust gets time-stamping authority https://tsa.example, certificate {real.fingerprint}")
    common = ("--rootpack", pack, "--keys", world.keys, "--time", "2026-06-01T12:00:00Z")
    assert run(capsys, "rootpack", "publish", draft, *common)[0] == 0
    assert [one.chain for one in signing.own_pack(pack).authorities] == [real.chain]


def test_authority_that_breaks_a_rule_or_is_there_is_refused(
    world: World, real: StampingAuthority, pack_dir: Path, tmp_path: Path
) -> None:
    office = Office(pack_dir, tmp_path / "keys", NOW)
    with pytest.raises(AlreadyAccepted):
        trust.carry_out(office, trust_change.stamping(real.chain, uri=""))
    wrong = make_authority(tmp_path / "wrong", Profile(usage_critical=False))
    other = make_authority(tmp_path / "other", name="other")
    for chain in (wrong.chain, other.chain[::-1], other.chain[:1]):
        with pytest.raises(UsageError):
            trust.carry_out(office, trust_change.stamping(chain, uri=""))
    with pytest.raises(UsageError):
        trust.carry_out(office, trust_change.stamping(other.chain, uri="", valid_from="2050-01-01T00:00:00Z"))
    with pytest.raises(UsageError):
        timestamps.read_chain(pack_dir / "metadata" / "1.root.json")


def test_trusted_root_is_read_by_sigstore(pack_dir: Path, tmp_path: Path, real: StampingAuthority) -> None:
    place = tmp_path / "trusted_root.json"
    place.write_bytes(signing.own_pack(pack_dir).targets[trusted_root.FILE])
    (authority,) = TrustedRoot.from_file(str(place)).get_timestamp_authorities()
    assert [one.public_bytes(timestamp.Encoding.DER) for one in authority.certificates(allow_expired=True)] == list(
        real.chain
    )


def test_trusted_root_is_read_by_sigstore_js(pack_dir: Path, tmp_path: Path, real: StampingAuthority) -> None:
    packages = ROOT / "build" / "npm"
    node = shutil.which("node")
    if node is None or not packages.is_dir():
        pytest.skip("node and the packages of tests/npm are not installed")
    place, token, signature = (tmp_path / name for name in ("trusted_root.json", "token", "signature"))
    pack = signing.own_pack(pack_dir)
    place.write_bytes(pack.targets[trusted_root.FILE])
    signature.write_bytes(b"signature")
    token.write_bytes(real.stamp(b"signature", NOW))
    done = subprocess.run(
        [node, ROOT / "tests/npm/trusted_root.cjs", packages, place, token, signature],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"authorities": 1, "certificates": 2, "time": "2026-06-01T12:00:00.000Z"}


# Hostile trusted roots

GOOD: dict[str, object] = {
    "certChain": encoded((b"\x30\x00",)),
    "validFor": {"start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00.25Z"},
    "uri": "https://tsa.example",
    "subject": {},
}


def test_trusted_root_of_others_is_read() -> None:
    (found,) = trusted_root.parse(as_document(GOOD))
    assert (found.uri, found.chain) == ("https://tsa.example", (b"\x30\x00",))
    assert found.valid_until == datetime(2026, 1, 1, 0, 0, 0, 250000, tzinfo=UTC)
    assert trusted_root.parse(b'{"mediaType":"%b","tlogs":[{"x":1}]}' % trusted_root.MEDIA_TYPE.encode()) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"validFor": {}},
        {"validFor": {"start": "2025-01-01"}},
        {"validFor": {"start": "2025-02-30T00:00:00Z"}},
        {"validFor": {"start": "2025-01-02T00:00:00Z", "end": "2025-01-01T00:00:00Z"}},
        {"validFor": {"start": "2025-01-01T00:00:00Z", "until": "x"}},
        {"validFor": {"start": "2025-01-01T00:00:00+01:00"}},
        {"validFor": {"start": 5}},
        {"certChain": {"certificates": []}},
        {"certChain": {"certificates": [{"rawBytes": "!"}]}},
        {"certChain": {"certificates": [{"rawBytes": "MA=="}] * 9}},
        {"certChain": {"certificates": [{"rawBytes": "MAA"}]}},
        {"certChain": {"certificates": [{"rawBytes": "MAA=", "x": 1}]}},
        {"certChain": encoded((bytes(17 << 10),))},
        {"certChain": None},
        {"uri": 5},
        {"uri": "x" * 257},
        {"uri": "a\u00e9"},
        {"extra": 1},
    ],
)
def test_hostile_trusted_root_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(StellaError):
        trusted_root.parse(as_document(GOOD | change))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"mediaType":"application/vnd.dev.sigstore.trustedroot.v0.2+json"}', b'{"a":1,"a":1}']
)
def test_document_that_is_no_trusted_root_is_refused(data: bytes) -> None:
    with pytest.raises(StellaError):
        trusted_root.parse(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*GOOD, "certificates", "rawBytes", "start", "end"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_anything_in_a_trusted_root_is_read_or_a_typed_error(entry: object) -> None:
    document = {"mediaType": trusted_root.MEDIA_TYPE, trusted_root.AUTHORITIES: entry}
    try:
        found = trusted_root.parse(json.dumps(document).encode())
    except StellaError:
        found = ()
    assert all(one.chain for one in found)


def test_too_many_authorities_are_refused() -> None:
    document = {"mediaType": trusted_root.MEDIA_TYPE, trusted_root.AUTHORITIES: [GOOD] * 33}
    with pytest.raises(StellaError):
        trusted_root.parse(json.dumps(document).encode())


def test_site_refuses_a_rootpack_whose_trusted_root_cannot_be_read(world: World) -> None:
    from kit.trust import rootpack

    with pytest.raises(TrustRootRefused):
        rootpack._authorities({trusted_root.FILE: b"[]"})
