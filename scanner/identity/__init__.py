"""Package identity: which package of the advisory data a component is, or why none (docs/matching.md section 1)."""

from scanner.identity.distributions import system
from scanner.identity.lookup import SYSTEM_TYPES, from_purl, identify, locate, read_purl
from scanner.identity.model import NotEvaluated, Package, Reason, Source, System
from scanner.identity.names import normalise, pep503
from scanner.identity.purl import MAX_LENGTH, BadPurl, Purl, parse_purl

__all__ = [
    "MAX_LENGTH",
    "SYSTEM_TYPES",
    "BadPurl",
    "NotEvaluated",
    "Package",
    "Purl",
    "Reason",
    "Source",
    "System",
    "from_purl",
    "identify",
    "locate",
    "normalise",
    "parse_purl",
    "pep503",
    "read_purl",
    "system",
]
