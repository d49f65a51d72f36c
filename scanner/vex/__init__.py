"""Readers of VEX documents and the rule that settles conflicting statements (docs/matching.md section 6)."""

from scanner.vex.model import Statement, StatementRef, VexDocument
from scanner.vex.openvex import read_openvex
from scanner.vex.resolve import Decision, VexIndex, resolve

__all__ = ["Decision", "Statement", "StatementRef", "VexDocument", "VexIndex", "read_openvex", "resolve"]
