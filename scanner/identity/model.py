"""What identity is made of: what a generator says about a component, and what is looked up (docs/matching.md, 1)."""

from dataclasses import dataclass
from typing import Literal

Reason = Literal["no-purl", "bad-purl", "unsupported-ecosystem", "no-release", "ambiguous-release", "no-version"]


@dataclass(frozen=True, slots=True)
class Package:
    """What is looked up in the feeds: name in the normal form of ``normalise``, version as its ecosystem has it.

    Of an operating-system package they are those that the ecosystem's advisories speak of: mostly the source package's.
    """

    ecosystem: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """A component that cannot be looked up, with a stable reason code and a detail for people."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The source package that a generator names beside the Package URL; a version of ``None`` is the binary's."""

    name: str
    version: str | None


@dataclass(frozen=True, slots=True)
class System:
    """An operating system: ``id`` as in ``distributions``, ``release`` as advisories are filed under it.

    A release of ``None`` is one that cannot be told, or that the advisories do not have.
    """

    id: str
    release: str | None
