"""Sigstore bundles of a kit: others verify them, and one that says anything but the envelope is refused."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from sigstore_models.bundle.v1 import Bundle

from builder import signer, trust
from builder.assemble import KitRequest, assemble
from builder.record import record
from kit import layout
from kit.bytes import canonical, digest
from kit.trust import dsse, sigstore, statement
from kit.trust.keys import ECDSA_P256, ED25519, PemSigner
from tests.attacks import forge
from tests.world import NOW, ROOT, SCAN_ID, World, scan_request
from verifier.run_dir import stamp

NODE = ROOT / "build" / "npm"
SCRIPT = ROOT / "tests" / "npm" / "verify_bundle.mjs"
SCAN = layout.scan_directory(SCAN_ID)
SIGNERS = {
    ECDSA_P256: PemSigner.from_seed(ECDSA_P256, bytes(range(48))),
    ED25519: PemSigner.from_seed(ED25519, bytes(range(32))),
}


def only_bundle(kit: Path) -> Path:
    (found,) = (kit / SCAN).glob(f"*{sigstore.SUFFIX}")
    return found


def hint_of(key: PemSigner) -> str:
    return base64.b64encode(bytes.fromhex(digest.hex_of(key.public.fingerprint))).decode()


def bundle_of(key: PemSigner, payload: bytes = b"{}") -> tuple[bytes, bytes]:
    envelope = dsse.sign(payload, dsse.IN_TOTO, [key])
    ((_, made),) = sigstore.bundles(envelope, [key.public], name="manifest.dsse.json").items()
    return envelope, made


# What a bundle is


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_a_bundle_holds_the_envelopes_payload_and_signature_and_nothing_else(algorithm: str) -> None:
    key = SIGNERS[algorithm]
    envelope, made = bundle_of(key)
    read, document = json.loads(envelope), json.loads(made)
    assert set(document) == {"mediaType", "verificationMaterial", "dsseEnvelope"}
    assert document["verificationMaterial"] == {"publicKey": {"hint": hint_of(key)}, "tlogEntries": []}
    inner = document["dsseEnvelope"]
    assert (inner["payload"], inner["payloadType"]) == (read["payload"], read["payloadType"])
    assert inner["signatures"] == [{"keyid": hint_of(key), "sig": read["signatures"][0]["sig"]}]
    assert made == canonical.encode(document)
    model = Bundle.from_json(made)
    assert model.verification_material.public_key.hint == hint_of(key)
    assert key.public.verify(dsse.pae(dsse.IN_TOTO, b"{}"), model.dsse_envelope.signatures[0].sig)


def test_each_signer_has_one_bundle_and_strangers_have_none() -> None:
    both = dsse.sign(b"{}", dsse.IN_TOTO, SIGNERS.values())
    keys = [key.public for key in SIGNERS.values()]
    assert set(sigstore.bundles(both, keys, name="")) == {sigstore.file_name(key) for key in keys}
    assert set(sigstore.bundles(both, keys[:1], name="")) == {sigstore.file_name(keys[0])}
    assert sigstore.bundles(both, [], name="") == {}


def test_a_signature_under_another_keys_id_is_given_to_who_made_it() -> None:
    one, two = SIGNERS.values()
    document = json.loads(dsse.sign(b"{}", dsse.IN_TOTO, [one]))
    document["signatures"][0]["keyid"] = two.public.fingerprint
    made = sigstore.bundles(json.dumps(document).encode(), [one.public, two.public], name="")
    assert set(made) == {sigstore.file_name(one.public)}


# Another implementation


@pytest.fixture(scope="module")
def judge() -> Callable[[bytes, PemSigner], str]:
    """Return what Sigstore's own verifier for JavaScript says of a bundle under one public key."""
    if not shutil.which("node") or not (NODE / "node_modules" / "@sigstore" / "verify").is_dir():
        pytest.skip("node or @sigstore/verify is not installed")
    process = subprocess.Popen(
        ["node", str(SCRIPT), str(NODE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def say(bundle: bytes, key: PemSigner) -> str:
        request = {"bundle": bundle.decode(), "hint": hint_of(key), "pem": key.public.to_pem().decode()}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield say
    process.communicate()


def altered(bundle: bytes, change: Callable[[dict], object]) -> bytes:
    document = json.loads(bundle)
    change(document)
    return json.dumps(document).encode()


ALTERED = {
    "payload": lambda document: document["dsseEnvelope"].update(payload="e30K"),
    "type": lambda document: document["dsseEnvelope"].update(payloadType="application/json"),
    "signature": lambda document: document["dsseEnvelope"]["signatures"][0].update(
        sig=base64.b64encode(OTHER.sign(dsse.pae(dsse.IN_TOTO, b"{}"))).decode()
    ),
    "hint": lambda document: document["verificationMaterial"]["publicKey"].update(hint="x"),
    "two signatures": lambda document: document["dsseEnvelope"]["signatures"].append({"sig": "AAAA"}),
    "no signature": lambda document: document["dsseEnvelope"].update(signatures=[]),
}
OTHER = PemSigner.from_seed(ECDSA_P256, bytes(range(1, 49)))


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_sigstores_verifier_accepts_a_bundle_and_nothing_that_was_altered(judge, algorithm: str) -> None:
    key = SIGNERS[algorithm]
    _, made = bundle_of(key)
    assert judge(made, key) == "accepted"
    for name, change in ALTERED.items():
        assert judge(altered(made, change), key).startswith("refused"), name


def test_sigstores_verifier_accepts_the_bundle_of_a_kit(judge, world: World) -> None:
    made = only_bundle(world.kit).read_bytes()
    assert judge(made, world.kit_signer) == "accepted"
    payload = base64.b64decode(json.loads(made)["dsseEnvelope"]["payload"])
    found = digest.of_bytes((world.kit / SCAN / layout.MANIFEST_FILE).read_bytes())
    assert statement.parse(payload).subjects[layout.MANIFEST_FILE] == found


# In a kit


def test_a_kit_has_a_bundle_for_each_signer_listed_and_summed(world: World, tmp_path: Path, replay) -> None:
    for name in ("rootpack", "keys"):
        shutil.copytree(getattr(world, name), tmp_path / name)
    second = signer.create(tmp_path / "keys", "second", ED25519, entropy=Random(4).randbytes)
    trust.add_key(
        tmp_path / "rootpack",
        tmp_path / "keys",
        second.public,
        usage="kit",
        owner="second",
        now=NOW - timedelta(hours=1),
    )
    signers = [world.kit_signer, second]
    recorded, _ = record(scan_request(world.feed), signers, tmp_path / "records")
    request = KitRequest([recorded], tmp_path / "rootpack", [], "default", 1, stamp(NOW), 24)
    made = assemble(request, signers, tmp_path / "kit")
    names = {f"{SCAN}/{sigstore.file_name(key.public)}" for key in signers}
    assert names < {file.path for file in made.files}
    sums = (tmp_path / "kit" / layout.SUMS_FILE).read_text()
    assert all(f"  {name}\n" in sums for name in names)
    result, _ = replay(tmp_path / "kit")
    (files,) = (check for check in result.checks if check.name == "files")
    assert (result.verdict, files.evidence["sigstoreBundles"]) == ("VERIFIED", 2)
    alone, _ = replay(tmp_path / "kit" / SCAN, scan_only=True)
    (files,) = (check for check in alone.checks if check.name == "files")
    assert (files.state, files.evidence["sigstoreBundles"]) == ("passed", 2)


def changed_file(change: Callable[[bytes], bytes]) -> Callable[[Path, World], None]:
    def act(kit: Path, world: World) -> None:
        place = only_bundle(kit)
        place.write_bytes(change(place.read_bytes()))

    return act


def resigned(kit: Path, world: World) -> None:
    """A good signature by the same key over another manifest: what a careless reader would believe."""
    place = only_bundle(kit)
    envelope = dsse.sign(b'{"another":"scan"}', dsse.IN_TOTO, [world.kit_signer])
    ((_, made),) = sigstore.bundles(envelope, [world.kit_signer.public], name="").items()
    place.write_bytes(made)


def named(name: str) -> Callable[[Path, World], None]:
    """The genuine bundle once more, under a name that is no signer's."""
    return lambda kit, world: shutil.copyfile(only_bundle(kit), kit / SCAN / name) and None


def stranger(kit: Path, world: World) -> None:
    """A bundle over the very payload, by a key that the envelope does not have."""
    payload = base64.b64decode(json.loads((kit / SCAN / layout.MANIFEST_ENVELOPE).read_bytes())["payload"])
    _, made = bundle_of(OTHER, payload)
    (kit / SCAN / sigstore.file_name(OTHER.public)).write_bytes(made)


def with_member(name: str, value: object) -> Callable[[bytes], bytes]:
    return lambda data: canonical.encode(json.loads(data) | {name: value})


HOSTILE = {
    "other payload": changed_file(lambda data: altered(data, ALTERED["payload"])),
    "other type": changed_file(lambda data: altered(data, ALTERED["type"])),
    "other signature": changed_file(lambda data: altered(data, ALTERED["signature"])),
    "other hint": changed_file(lambda data: altered(data, ALTERED["hint"])),
    "another scan, well signed": resigned,
    "a member more": changed_file(with_member("messageSignature", {"signature": "AAAA"})),
    "other media type": changed_file(with_member("mediaType", "application/vnd.dev.sigstore.bundle.v0.2+json")),
    "other spelling": changed_file(lambda data: json.dumps(json.loads(data)).encode()),
    "space behind": changed_file(lambda data: data + b"\n"),
    "a member twice": changed_file(lambda data: b'{"mediaType":"x",' + data[1:]),
    "empty": changed_file(lambda data: b""),
    "deep": changed_file(lambda data: b"[" * 100_000),
    "stranger's": stranger,
    "no signer's name": named("manifest.00000000.sigstore.json"),
    "without a name": named("manifest.sigstore.json"),
    "in capitals": named("manifest.00000000.SIGSTORE.JSON"),
}


@pytest.mark.parametrize("act", HOSTILE.values(), ids=HOSTILE)
def test_a_bundle_that_the_envelope_does_not_give_is_refused_although_the_kit_lists_it(
    world: World, tmp_path: Path, replay, act
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    act(kit, world)
    result, _ = replay(kit / SCAN, scan_only=True)
    assert (result.verdict, result.reason) == ("REFUSED", "SigstoreBundleWrong")
    forge.seal(kit, [world.kit_signer])
    result, _ = replay(kit)
    assert (result.verdict, result.reason) == ("REFUSED", "SigstoreBundleWrong")


def test_a_bundle_that_nobody_listed_is_undeclared_and_one_that_is_gone_is_missing(
    world: World, tmp_path: Path, replay
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    place = only_bundle(kit)
    hidden = place.read_bytes()
    place.unlink()
    assert replay(kit)[0].reason == "FileMissing"
    forge.seal(kit, [world.kit_signer])
    assert replay(kit)[0].verdict == "VERIFIED", "a kit without bundles is a kit"
    place.write_bytes(hidden)
    assert replay(kit)[0].reason == "FileUndeclared"
