"""Readers of VEX documents and the rule that settles conflicting statements (docs/matching.md section 6)."""

from scanner.vex.index import VexIndex
from scanner.vex.model import Statement, StatementRef, Status, VexDocument
from scanner.vex.read import read_vex
from scanner.vex.reading import Allowance
from scanner.vex.resolve import Block, Decision, Resolver

__all__ = [
    "Allowance",
    "Block",
    "Decision",
    "Resolver",
    "Statement",
    "StatementRef",
    "Status",
    "VexDocument",
    "VexIndex",
    "read_vex",
]
