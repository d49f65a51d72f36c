"""Time stamps taken apart into trees of DER, changed element by element, and signed anew by the right key."""

import copy
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from kit.trust import der

Node = Any
"""A list of tag and content, which is bytes or a list of nodes; or the bytes of an element as they are."""

MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
ATTRIBUTES = 0xA0


def parse(data: bytes) -> list[Node]:
    found, at = [], 0
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length >= 0x80:
            start += length - 0x80
            length = int.from_bytes(data[at + 2 : start])
        content = data[start : start + length]
        found.append([tag, parse(content) if tag & 0x20 else content])
        at = start + length
    return found


def encode(node: Node) -> bytes:
    if isinstance(node, bytes):
        return node
    return der.encode(node[0], node[1] if isinstance(node[1], bytes) else b"".join(map(encode, node[1])))


def changed(root: Node) -> Iterator[tuple[str, Node]]:
    """Return each change of each element below a node, as its name with the place, and the whole that it makes."""
    for path in _places(root, ()):
        for name, change in CHANGES.items():
            whole = copy.deepcopy(root)
            elements = whole
            for at in path[:-1]:
                elements = elements[1][at]
            change(elements[1], path[-1])
            yield f"{name} {path}", whole


def _places(node: Node, path: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if isinstance(node[1], list):
        for at, inner in enumerate(node[1]):
            yield (*path, at)
            yield from _places(inner, (*path, at))


def _remove(elements: list[Node], at: int) -> None:
    del elements[at]


def _double(elements: list[Node], at: int) -> None:
    elements.insert(at, elements[at])


def _swap(elements: list[Node], at: int) -> None:
    elements[at : at + 2] = reversed(elements[at : at + 2])


def _append(elements: list[Node], at: int) -> None:
    inner = elements[at]
    inner[1] = inner[1] + (b"\0" if isinstance(inner[1], bytes) else [b"\5\0"])


def _written(make: Callable[[int, bytes], bytes]) -> Callable[[list[Node], int], None]:
    def change(elements: list[Node], at: int) -> None:
        tag, content = elements[at]
        body = content if isinstance(content, bytes) else b"".join(map(encode, content))
        elements[at] = make(tag, body)

    return change


CHANGES = {
    "removed": _remove,
    "doubled": _double,
    "swapped": _swap,
    "appended to": _append,
    "long length": _written(lambda tag, body: bytes([tag, 0x83]) + len(body).to_bytes(3) + body),
    "indefinite length": _written(lambda tag, body: bytes([tag, 0x80]) + body + b"\0\0"),
    "empty": _written(lambda tag, _: bytes([tag, 0])),
    "null": _written(lambda _, __: b"\5\0"),
    "constructed": _written(lambda tag, body: der.encode(tag ^ 0x20, body)),
    "tagged": _written(lambda _, body: der.encode(0xA0, body)),
    "zeros": _written(lambda tag, body: der.encode(tag, bytes(len(body)))),
    "ones": _written(lambda tag, body: der.encode(tag, b"\xff" * len(body))),
}


class Forge:
    """Makes other stamps of one: with another TSTInfo or other signed attributes, and a signature that fits."""

    def __init__(self, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, data: bytes) -> None:
        """Take a stamp that is signed with SHA-256."""
        self._key = key
        self.tree = parse(data)[0]
        signed, signer = self._parts(self.tree)
        self.info = parse(signed[1][2][1][1][1][0][1])[0]
        self._at = next(at for at, element in enumerate(signer[1]) if element[0] == ATTRIBUTES)
        self.attributes = [der.SET, signer[1][self._at][1]]

    @staticmethod
    def _parts(tree: Node) -> tuple[Node, Node]:
        signed = tree[1][1][1][1][1][0]
        return signed, signed[1][-1][1][0]

    def with_info(self, info: Node) -> bytes:
        tree, written, attributes = copy.deepcopy(self.tree), encode(info), copy.deepcopy(self.attributes)
        self._parts(tree)[0][1][2][1][1][1][0][1] = written
        for attribute in attributes[1]:
            if attribute[1][0][1] == MESSAGE_DIGEST:
                attribute[1][1] = [der.SET, [[der.OCTETS, hashlib.sha256(written).digest()]]]
        return self._signed(tree, attributes)

    def with_attributes(self, attributes: Node, *, ordered: bool) -> bytes:
        if ordered:
            attributes = [der.SET, sorted(attributes[1], key=encode)]
        return self._signed(copy.deepcopy(self.tree), attributes)

    def _signed(self, tree: Node, attributes: Node) -> bytes:
        signer = self._parts(tree)[1]
        body = b"".join(map(encode, attributes[1]))
        covered = der.encode(der.SET, body)
        if isinstance(self._key, rsa.RSAPrivateKey):
            signature = self._key.sign(covered, padding.PKCS1v15(), hashes.SHA256())
        else:
            signature = self._key.sign(covered, ec.ECDSA(hashes.SHA256()))
        signer[1][self._at] = der.encode(ATTRIBUTES, body)
        signer[1][self._at + 2] = [der.OCTETS, signature]
        return encode(tree)
