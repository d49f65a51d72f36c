"""Logs and witnesses on the network, for tests: made from the public descriptions, with nothing of ours but the tests.

Rekor v1 and v2 judge what they are sent with the models of sigstore-python and with cryptography; trees are the plain
recursion of RFC 6962. Each server can be told to fail, or to lie.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import rekor_types
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey as EcKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from sigstore_models.rekor.v2.entry import CreateEntryRequest

TREE_ID = "1193050959916656506"
TIME = 1_780_000_000


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def split(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def root(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    at = split(len(leaves))
    return hashlib.sha256(b"\1" + root(leaves[:at]) + root(leaves[at:])).digest()


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) < 2:
        return []
    at = split(len(leaves))
    if index < at:
        return [*path(index, leaves[:at]), root(leaves[at:])]
    return [*path(index - at, leaves[at:]), root(leaves[:at])]


def is_prefix(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> bool:
    """Verify a consistency proof as RFC 9162 section 2.1.4.2 has it."""
    if old == 0 or old == new:
        return not proof and (old == 0 or old_root == new_root)
    nodes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not nodes:
        return False
    first, second = old - 1, new - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    one = two = nodes[0]
    for node in nodes[1:]:
        if second == 0:
            return False
        if first & 1 or first == second:
            one, two = (hashlib.sha256(b"\1" + node + each).digest() for each in (one, two))
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            two = hashlib.sha256(b"\1" + two + node).digest()
        first, second = first >> 1, second >> 1
    return (one, two, second) == (old_root, new_root, 0)


def pem(key: EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def ec_key(number: int) -> EllipticCurvePrivateKey:
    return derive_private_key(number + 1, SECP256R1())


def ed_key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


class Service:
    """A server: ``faults`` are used up, one a request; ``asked`` has the path and the body of each request."""

    def __init__(self) -> None:
        self.faults: list[str | int] = []
        self.asked: list[tuple[str, bytes]] = []
        self.url = ""
        self.released = threading.Event()

    def answer(self, method: str, place: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        raise NotImplementedError


class Rekor(Service):
    """A Rekor log of a version; ``lie`` changes the entry that it answers with."""

    def __init__(self, version: int, *, origin: str = "rekor.example", filled: int = 3) -> None:
        super().__init__()
        self.version = version
        self.key: Any = ec_key(40) if version == 1 else ed_key(41)
        self.name = origin
        self.origin = f"{origin} - {TREE_ID}" if version == 1 else origin
        self.bodies = [b"entry %d" % number for number in range(filled)]
        self.lie: Callable[[dict[str, Any]], None] = lambda entry: None
        self.unproven = 0
        self.full_tiles_only = False
        self.says_where = True

    @property
    def leaves(self) -> list[bytes]:
        return [leaf(body) for body in self.bodies]

    @property
    def log_id(self) -> bytes:
        spki = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        raw = spki[-32:]
        whole = spki if self.version == 1 else self.name.encode() + b"\n\1" + raw
        return hashlib.sha256(whole).digest()

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ECDSA(SHA256())) if self.version == 1 else self.key.sign(data)

    def checkpoint(self) -> str:
        text = f"{self.origin}\n{len(self.bodies)}\n{b64(root(self.leaves))}\n"
        return f"{text}\n\u2014 {self.name} {b64(self.log_id[:4] + self.sign(text.encode()))}\n"

    def answer(self, method: str, place: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        entries = f"/api/v{self.version}/log/entries"
        if method == "POST" and place == entries:
            return self._add_v1(body) if self.version == 1 else self._add_v2(body)
        if self.version == 1 and place.startswith(f"{entries}/"):
            wanted = place.rpartition("/")[2][-64:]
            at = next((at for at, each in enumerate(self.leaves) if each.hex() == wanted), None)
            return (404, b"", {}) if at is None else (200, json.dumps(self._entry_v1(at)).encode(), {})
        if self.version == 2 and place == "/api/v2/checkpoint":
            return 200, self.checkpoint().encode(), {}
        if self.version == 2 and place.startswith("/api/v2/tile/"):
            return self._tile(place.removeprefix("/api/v2/tile/"))
        return 404, b'{"code":404,"message":"path was not found"}', {}

    def _add_v1(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        proposed = rekor_types.Dsse.model_validate_json(body).spec.root.proposed_content  # type: ignore[union-attr]
        envelope = json.loads(proposed.envelope)
        payload = base64.b64decode(envelope["payload"])
        kind = envelope["payloadType"]
        message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
        verifiers = [str(each) for each in proposed.verifiers]
        signatures = []
        for entry in envelope["signatures"]:
            fitting = [each for each in verifiers if _fits(each, entry["sig"], message)]
            if not fitting:
                return 400, b'{"code":400,"message":"all signatures must have a key that verifies it"}', {}
            signatures.append({"signature": entry["sig"], "verifier": fitting[0]})
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(proposed.envelope.encode()).hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": sorted(signatures, key=lambda each: each["signature"]),
        }
        made = rfc8785.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        if made in self.bodies:
            place = f"/api/v1/log/entries/{int(TREE_ID):016x}{leaf(made).hex()}"
            return 409, b'{"code":409,"message":"an equivalent entry already exists"}', {"Location": place}
        self.bodies.append(made)
        return 201, json.dumps(self._entry_v1(len(self.bodies) - 1)).encode(), {}

    def _entry_v1(self, at: int) -> dict[str, Any]:
        body, index = b64(self.bodies[at]), 25_000 + at
        promised = {"body": body, "integratedTime": TIME, "logID": self.log_id.hex(), "logIndex": index}
        proof = {
            "checkpoint": self.checkpoint(),
            "hashes": [each.hex() for each in path(at, self.leaves)],
            "logIndex": at,
            "rootHash": root(self.leaves).hex(),
            "treeSize": len(self.bodies),
        }
        promise = {"signedEntryTimestamp": b64(self.sign(rfc8785.dumps(promised)))}
        entry: dict[str, Any] = {**promised, "attestation": {}, "verification": {"inclusionProof": proof, **promise}}
        if self.unproven:
            self.unproven -= 1
            del entry["verification"]["inclusionProof"]
        self.lie(entry)
        return {f"{int(TREE_ID):016x}{leaf(self.bodies[at]).hex()}": entry}

    def _add_v2(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        request = CreateEntryRequest.from_json(body).hashed_rekord_request_v002
        assert request is not None
        verifier = request.signature.verifier
        assert verifier.public_key is not None
        key = load_der_public_key(verifier.public_key.raw_bytes)
        if not isinstance(key, EcKey) or verifier.key_details != "PKIX_ECDSA_P256_SHA_256":
            return 400, b'{"code":3,"message":"invalid hashedrekord request"}', {}
        key.verify(request.signature.content, request.digest, ECDSA(Prehashed(SHA256())))
        signature = {
            "content": b64(request.signature.content),
            "verifier": {
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "publicKey": {"rawBytes": b64(verifier.public_key.raw_bytes)},
            },
        }
        data = {"algorithm": "SHA2_256", "digest": b64(request.digest)}
        spec = {"hashedRekordV002": {"data": data, "signature": signature}}
        made = rfc8785.dumps({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec})
        if made in self.bodies:
            headers = {"X-Log-Index": str(self.bodies.index(made))} if self.says_where else {}
            return 409, b'{"code":6,"message":"an equivalent entry already exists"}', headers
        self.bodies.append(made)
        at = len(self.bodies) - 1
        entry = {
            "logIndex": str(at),
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "integratedTime": "0",
            "inclusionPromise": None,
            "inclusionProof": {
                "logIndex": str(at),
                "rootHash": b64(root(self.leaves)),
                "treeSize": str(len(self.bodies)),
                "hashes": [b64(each) for each in path(at, self.leaves)],
                "checkpoint": {"envelope": self.checkpoint()},
            },
            "canonicalizedBody": b64(made),
        }
        self.lie(entry)
        return 201, json.dumps(entry).encode(), {}

    def _tile(self, place: str) -> tuple[int, bytes, dict[str, str]]:
        level, _, rest = place.partition("/")
        number, partial, width = rest.partition(".p/")
        if partial and self.full_tiles_only:
            return 404, b"", {}
        unit = 256 ** int(level)
        hashes = [root(self.leaves[at : at + unit]) for at in range(0, len(self.bodies) // unit * unit, unit)]
        wanted = hashes[int(number) * 256 :][: int(width) if partial else 256]
        return 200, b"".join(wanted), {}


class Witness(Service):
    """A witness of C2SP tlog-witness that knows the logs of some Ed25519 keys, each by its origin."""

    def __init__(self, name: str, number: int, logs: dict[str, bytes], *, now: int) -> None:
        super().__init__()
        self.name = name
        self.key = ed_key(number)
        self.logs = {origin: Ed25519PublicKey.from_public_bytes(raw) for origin, raw in logs.items()}
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.now = now
        self.spoiled = False

    def answer(self, method: str, place: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if (method, place) != ("POST", "/add-checkpoint"):
            return 404, b"", {}
        head, _, signed = body.decode().partition("\n\n")
        first, *proof = head.split("\n")
        text, _, lines = signed.partition("\n\n")
        text += "\n"
        origin, size, written_root = text.split("\n")[:3]
        old, new, new_root = int(first.removeprefix("old ")), int(size), base64.b64decode(written_root)
        if origin not in self.logs:
            return 404, b"unknown log\n", {}
        if not any(self._signed(origin, text, line) for line in lines.splitlines()):
            return 403, b"no signature of the log\n", {}
        if old > new:
            return 400, b"", {}
        known_size, known_root = self.seen.get(origin, (0, b""))
        if old != known_size:
            return 409, b"%d\n" % known_size, {"Content-Type": "text/x.tlog.size"}
        if old == new and known_root != new_root:
            return 409, b"%d\n" % known_size, {"Content-Type": "text/x.tlog.size"}
        if not is_prefix(old, known_root, new, new_root, [base64.b64decode(line) for line in proof]):
            return 422, b"the proof does not hold\n", {}
        self.seen[origin] = new, new_root
        signature = self.key.sign(b"cosignature/v1\ntime %d\n" % self.now + text.encode())
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        key_id = hashlib.sha256(self.name.encode() + b"\n\4" + raw).digest()[:4]
        stamp = (self.now + self.spoiled).to_bytes(8, "big")
        stranger = f"\u2014 stranger.example {b64(bytes(80))}\n"
        return 200, f"{stranger}\u2014 {self.name} {b64(key_id + stamp + signature)}\n".encode(), {}

    def _signed(self, origin: str, text: str, line: str) -> bool:
        _, name, value = line.split(" ")
        try:
            self.logs[origin].verify(base64.b64decode(value)[4:], text.encode())
        except InvalidSignature:
            return False
        return name == origin


def _fits(verifier: str, signature: str, message: bytes) -> bool:
    key: Any = load_pem_public_key(base64.b64decode(verifier))
    try:
        key.verify(base64.b64decode(signature), message, *([ECDSA(SHA256())] if isinstance(key, EcKey) else []))
    except InvalidSignature:
        return False
    return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        service = self.service
        service.asked.append((self.path, body))
        fault = service.faults.pop(0) if service.faults else None
        if fault == "hang":
            service.released.wait(30)
        elif fault == "cut":
            pass
        elif fault == "half":
            self._send(200, b'{"half":', {"Content-Length": "4000"})
        elif fault == "huge":
            self._send(200, b" " * (3 << 20), {})
        elif fault == "redirect":
            self._send(307, b"", {"Location": f"{service.url}/elsewhere"})
        elif fault == "garbage":
            self._send(201, b"<html>welcome</html>", {})
        elif isinstance(fault, int):
            self._send(fault, b'{"message":"told to"}', {})
        else:
            self._send(*service.answer(self.command, self.path, body))
        self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(*services: Service) -> Iterator[None]:
    """Run servers on ports of this machine."""
    servers = []
    for service in services:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
        server.daemon_threads = True
        service.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
    try:
        yield
    finally:
        for service, server in zip(services, servers, strict=True):
            service.released.set()
            server.shutdown()
            server.server_close()
