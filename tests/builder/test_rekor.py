"""Submitting to Rekor v1 and v2: what is written is judged first, and what fails leaves nothing behind."""

import json
import random
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from builder import attest, rekor, timestamps, web
from builder.rekor import V1, V2
from builder.web import Client
from kit.errors import (
    LedgerEntryForeign,
    LedgerProofWrong,
    LedgerRefused,
    LedgerSignatureInvalid,
    LedgerUnknown,
    LedgerUnreachable,
    LimitExceeded,
    MalformedDocument,
    NotReadable,
    SignerUnfit,
    StellaError,
    UsageError,
)
from kit.ledger import evidence
from kit.ledger.checkpoint import Trust
from kit.ledger.entry import Logged
from kit.ledger.note import NoteKey
from kit.trust import dsse
from kit.trust.keys import PemSigner, PublicKey
from tests.logs import Rekor, ec_key, pem, serving
from tests.world import NOW, World
from verifier.run_dir import stamp


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the servers of these tests past any proxy of the machine's."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(params=[V1, V2])
def log(request: pytest.FixtureRequest) -> Iterator[Rekor]:
    made = Rekor(request.param)
    with serving(made):
        yield made


@pytest.fixture
def record(world: World, tmp_path: Path) -> Path:
    shutil.copytree(world.record, tmp_path / "records" / world.record.name)
    return tmp_path / "records" / world.record.name


def trust_of(log: Rekor) -> Trust:
    return Trust((NoteKey(log.name, PublicKey.from_pem(pem(log.key))),))


def client_of(log: Rekor) -> Client:
    return Client(log.url + "/", option="--rekor", pause=lambda _: None)


def submit(world: World, record: Path, log: Rekor, *, trust: Trust | None = None, **more: Any) -> attest.Attested:
    from builder import signing

    pack, now = signing.own_pack(world.rootpack), stamp(NOW)
    (done,) = attest.attest_at(
        [record], pack, client_of(log), log.version, now=now, trust=trust or trust_of(log), **more
    )
    return done


def written(record: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((record / "evidence").glob("*"))}


def logged_by(*algorithms: str) -> Logged:
    sizes = {"ed25519": 32, "ecdsa-p256-sha256": 48}
    signers = [PemSigner.from_seed(each, bytes([at + 1]) * sizes[each]) for at, each in enumerate(algorithms)]
    envelope = dsse.sign(b"{}", dsse.IN_TOTO, signers)
    keys = [signer.public for signer in signers]
    return Logged(envelope, dsse.verify(envelope, keys, threshold=len(keys), payload_types=(dsse.IN_TOTO,), name="e"))


def test_proof_is_put_beside_the_record(world: World, record: Path, log: Rekor) -> None:
    done = submit(world, record, log)
    assert (done.origin, done.index, done.size) == (log.origin, 3, 4)
    ((name, data),) = written(record).items()
    assert done.files == (f"evidence/{name}",)
    assert name.startswith("rekor-")
    assert name.endswith(".rekor.json")
    assert json.loads(data)["canonicalizedBody"]


def test_sigstore_python_agrees_with_what_is_written(world: World, record: Path, log: Rekor) -> None:
    from sigstore._internal import merkle
    from sigstore._internal.rekor.checkpoint import SignedCheckpoint
    from sigstore.models import TransparencyLogEntry
    from sigstore_models.rekor.v1 import TransparencyLogEntry as Model

    submit(world, record, log)
    (data,) = written(record).values()
    entry = TransparencyLogEntry(Model.from_json(data))
    merkle.verify_merkle_inclusion(entry)
    signed = SignedCheckpoint.from_text(json.loads(data)["inclusionProof"]["checkpoint"]["envelope"])
    assert signed.checkpoint.log_size == 4
    assert entry._inner.log_id.key_id == log.log_id
    if log.version == V1:
        promise = entry._inner.inclusion_promise
        assert promise is not None
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        log.key.public_key().verify(promise.signed_entry_timestamp, entry._encode_canonical(), ECDSA(SHA256()))


def test_attesting_again_adds_no_entry_and_refreshes_the_proof(world: World, record: Path, log: Rekor) -> None:
    submit(world, record, log)
    before = written(record)
    submit(world, record, log)
    assert len(log.bodies) == 4
    assert written(record).keys() == before.keys()
    log.bodies += [b"later", b"latest"]
    assert submit(world, record, log).size == 6
    assert written(record).keys() == before.keys()


@pytest.mark.parametrize("full_tiles_only", [False, True])
def test_known_entry_of_v2_is_proven_from_tiles(world: World, record: Path, *, full_tiles_only: bool) -> None:
    log = Rekor(V2, filled=300)
    with serving(log):
        submit(world, record, log)
        log.bodies += [b"more %d" % number for number in range(400)]
        log.full_tiles_only = full_tiles_only
        done = submit(world, record, log)
    assert (done.index, done.size) == (300, 701)


def test_known_entry_of_v2_whose_place_is_not_told_is_refused(world: World, record: Path) -> None:
    log = Rekor(V2)
    with serving(log):
        submit(world, record, log)
        log.says_where = False
        with pytest.raises(LedgerRefused):
            submit(world, record, log)


def test_entry_without_a_proof_is_asked_for_until_it_has_one(world: World, record: Path) -> None:
    log = Rekor(V1)
    with serving(log):
        log.unproven = 3
        assert submit(world, record, log).index == 3
        log.unproven = 100
        with pytest.raises(LedgerRefused, match="no inclusion proof"):
            submit(world, record, log)


def test_receipt_is_upstreams_form_of_the_same_proof(world: World, record: Path, log: Rekor) -> None:
    submit(world, record, log, receipt=True)
    names = set(written(record))
    assert {"rekor-receipt.json", "rekor-body.json"} < names
    receipt = json.loads((record / "evidence" / "rekor-receipt.json").read_bytes())
    assert set(receipt) == {"uuid", "logIndex", "rootHash", "hashes", "checkpoint"}
    assert receipt["logIndex"] == 3


def test_every_signer_is_in_the_log(log: Rekor) -> None:
    logged = logged_by("ecdsa-p256-sha256", "ecdsa-p256-sha256")
    entries = rekor.submit(client_of(log), logged, log.version, trust_of(log))
    found = {f"{at}.rekor.json": one.document for at, one in enumerate(entries)}
    findings = evidence.verify(found, logged, trust_of(log))
    assert len(findings) == (1 if log.version == V1 else 2)
    assert {key for one in findings for key in one.signers} == set(logged.verified.signers)


def test_ed25519_is_refused_by_v2_before_anything_is_sent(log: Rekor) -> None:
    logged = logged_by("ecdsa-p256-sha256", "ed25519")
    if log.version == V1:
        assert len(rekor.submit(client_of(log), logged, V1, trust_of(log))) == 1
        return
    with pytest.raises(SignerUnfit, match="ed25519"):
        rekor.submit(client_of(log), logged, V2, trust_of(log))
    assert not log.asked


def test_signature_that_did_not_count_is_not_submitted() -> None:
    log = Rekor(V1)
    both = logged_by("ecdsa-p256-sha256", "ecdsa-p256-sha256")
    first = both.verified.signers[0]
    one = dsse.verify(both.envelope, [first], threshold=1, payload_types=(dsse.IN_TOTO,), name="e")
    with serving(log):
        (entry,) = rekor.submit(client_of(log), Logged(both.envelope, one), V1, trust_of(log))
    (finding,) = evidence.verify({"a.rekor.json": entry.document}, Logged(both.envelope, one), trust_of(log))
    assert finding.signers == (first,)


def other_index(entry: dict[str, Any]) -> None:
    proof = entry.get("verification", entry)["inclusionProof"]
    proof["logIndex"] = type(proof["logIndex"])(int(proof["logIndex"]) - 1)


def other_promise(entry: dict[str, Any]) -> None:
    entry["integratedTime"] = 1


def other_body(entry: dict[str, Any]) -> None:
    name = "body" if "body" in entry else "canonicalizedBody"
    entry[name] = rekor._base64(b'{"apiVersion":"0.0.1","kind":"dsse","spec":{}}')


def other_root(entry: dict[str, Any]) -> None:
    proof = entry.get("verification", entry)["inclusionProof"]
    proof["rootHash"] = "00" * 32 if "verification" in entry else rekor._base64(bytes(32))


def no_hashes(entry: dict[str, Any]) -> None:
    entry.get("verification", entry)["inclusionProof"]["hashes"] = []


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        (other_index, LedgerProofWrong),
        (other_body, MalformedDocument),
        (other_root, LedgerProofWrong),
        (no_hashes, LedgerProofWrong),
    ],
)
def test_lying_log_leaves_nothing_behind(
    world: World, record: Path, log: Rekor, lie: Any, error: type[StellaError]
) -> None:
    log.lie = lie
    with pytest.raises(error):
        submit(world, record, log)
    assert not (record / "evidence").exists()


def test_promise_about_something_else_leaves_nothing_behind(world: World, record: Path) -> None:
    log = Rekor(V1)
    log.lie = other_promise
    with serving(log), pytest.raises(LedgerSignatureInvalid):
        submit(world, record, log)
    assert not (record / "evidence").exists()


def test_entry_of_another_record_leaves_nothing_behind(world: World, record: Path, log: Rekor) -> None:
    """The log proves, rightly, that it has somebody else's envelope."""
    other = logged_by("ecdsa-p256-sha256")
    rekor.submit(client_of(log), other, log.version, trust_of(log))
    answers = log.answer("POST", log.asked[-1][0], log.asked[-1][1])
    found = log.answer("GET", answers[2]["Location"], b"")[1] if log.version == V1 else None
    if found is None:
        fresh = Rekor(V2)
        found = fresh.answer("POST", "/api/v2/log/entries", log.asked[-1][1])[1]
    log.answer = lambda *_: (201, found, {})  # type: ignore[method-assign,misc]
    with pytest.raises(LedgerEntryForeign):
        submit(world, record, log)
    assert not (record / "evidence").exists()


def test_wrong_log_key_leaves_nothing_behind(world: World, record: Path, log: Rekor) -> None:
    stranger = Trust((NoteKey(log.name, PublicKey.from_pem(pem(ec_key(99)))),))
    with pytest.raises(LedgerUnknown):
        submit(world, record, log, trust=stranger)
    named = Trust((NoteKey("other.example", PublicKey.from_pem(pem(log.key))),))
    with pytest.raises(LedgerUnknown):
        submit(world, record, log, trust=named)
    assert not (record / "evidence").exists()


@pytest.mark.parametrize("fault", [500, 503, 429, "cut", "half"])
def test_passing_fault_is_outlived(world: World, record: Path, log: Rekor, fault: str | int) -> None:
    log.faults = [fault, fault]
    assert submit(world, record, log).index == 3
    assert len(log.asked) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (500, LedgerUnreachable),
        (400, LedgerRefused),
        (404, LedgerRefused),
        ("half", LedgerUnreachable),
        ("cut", LedgerUnreachable),
        ("huge", LimitExceeded),
        ("redirect", LedgerRefused),
        ("garbage", MalformedDocument),
    ],
)
def test_lasting_fault_is_typed_and_leaves_nothing_behind(
    world: World, record: Path, log: Rekor, fault: str | int, error: type[StellaError]
) -> None:
    log.faults = [fault] * 10
    with pytest.raises(error) as caught:
        submit(world, record, log)
    assert len(log.asked) == (1 + len(web.PAUSES) if error is LedgerUnreachable else 1)
    assert log.url in str(caught.value.details["path"])
    assert not (record / "evidence").exists()


def test_silent_service_is_given_up(world: World, record: Path, log: Rekor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READ_SECONDS", 0.05)
    log.faults = ["hang"] * 10
    with pytest.raises(LedgerUnreachable, match="Timeout"):
        submit(world, record, log)


def dripping(listener: socket.socket, first: bytes, more: bytes) -> None:
    """Answer every connection with bytes that never end an answer."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(first)
            while connection.send(more):
                time.sleep(0.01)


@pytest.fixture(
    params=[(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (b"HTTP/1.1 200 OK\r\nX: ", b"y")], ids=["100", "header"]
)
def drip(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the address of a service that is never silent and never done."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=dripping, args=(listener, *request.param), daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_service_that_drips_for_ever_is_given_up(drip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "WHOLE_SECONDS", 0.2)
    monkeypatch.setattr(web, "PAUSES", ())
    with pytest.raises(LedgerUnreachable, match="no whole answer"):
        Client(drip, option="--rekor").get("/")


def test_authority_that_drips_for_ever_is_given_up(drip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timestamps, "WHOLE_SECONDS", 0.2)
    with pytest.raises(NotReadable, match="no whole answer"):
        timestamps.by_http(drip)(b"")


def test_nobody_there_is_unreachable(world: World, record: Path) -> None:
    log = Rekor(V1)
    with serving(log):
        pass
    with pytest.raises(LedgerUnreachable):
        submit(world, record, log)


@pytest.mark.parametrize("version", [V1, V2])
def test_other_version_is_named(version: int) -> None:
    log = Rekor(version)
    with serving(log), pytest.raises(LedgerRefused) as caught:
        rekor.submit(client_of(log), logged_by("ecdsa-p256-sha256"), 3 - version, trust_of(log))
    assert f"--rekor-version {version}" in caught.value.next_step


@pytest.mark.parametrize(
    "url",
    [
        "rekor.example",
        "ftp://rekor.example",
        "https://",
        "https://me:secret@rekor.example",
        "http://[::1",
        "https://a?b",
    ],
)
def test_url_that_is_none_is_a_usage_error_and_never_shown_with_a_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Client(url, option="--rekor")
    assert "secret" not in str(caught.value)


def test_answers_are_never_trusted_in_any_shape(world: World, record: Path, log: Rekor) -> None:
    """Whatever JSON a log answers with, the error is one of ours and nothing is written."""
    chance = random.Random(4)
    good = json.loads(log.answer("POST", f"/api/v{log.version}/log/entries", _request(log))[1])
    for _ in range(60):
        document = _spoiled(good, chance)
        log.answer = lambda *_, found=document: (201, json.dumps(found).encode(), {})  # type: ignore[method-assign,misc]
        with pytest.raises(StellaError):
            submit(world, record, log)
        assert not (record / "evidence").exists()


def _request(log: Rekor) -> bytes:
    logged = logged_by("ecdsa-p256-sha256")
    other = Rekor(log.version)
    with serving(other):
        rekor.submit(client_of(other), logged, log.version, trust_of(other))
    return other.asked[0][1]


def _spoiled(document: Any, chance: random.Random) -> Any:
    if isinstance(document, dict) and document:
        name = chance.choice(sorted(document))
        changed = {**document, name: _spoiled(document[name], chance)}
        return changed if chance.random() < 0.9 else {key: value for key, value in document.items() if key != name}
    return chance.choice([None, 0, -1, 2**70, "", "x", [], {}, [None], {"a": 1}, "\u2014", True, 1.5])
