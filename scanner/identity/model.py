"""What identity is made of: what a generator says about a component, and what is looked up (docs/matching.md, 1)."""

from typing import Literal

import msgspec

Reason = Literal["no-purl", "bad-purl", "unsupported-ecosystem", "no-release", "ambiguous-release", "no-version"]


class Package(msgspec.Struct, frozen=True):
    """What is looked up in the feeds: name in the normal form of ``normalise``, version as its ecosystem has it.

    Of an operating-system package they are those that the ecosystem's advisories speak of: mostly the source package's.
    """

    ecosystem: str
    name: str
    version: str


class NotEvaluated(msgspec.Struct, frozen=True):
    """A component that cannot be looked up, with a stable reason code and a detail for people."""

    reason: Reason
    detail: str = ""


class Source(msgspec.Struct, frozen=True):
    """The source package that a generator names beside the Package URL; a version of ``None`` is the binary's."""

    name: str
    version: str | None


class System(msgspec.Struct, frozen=True):
    """An operating system: ``id`` as in ``distributions``, ``release`` as advisories are filed under it.

    A release of ``None`` is one that cannot be told, or that the advisories do not have.
    """

    id: str
    release: str | None
