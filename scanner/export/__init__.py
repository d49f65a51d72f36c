"""Findings in the formats that the field expects (docs/exports.md); every export is made of the outputs alone."""

from collections.abc import Callable, Mapping

from scanner.export.cyclonedx import bom_link, vdr, vex
from scanner.export.model import Evaluated, Standing
from scanner.export.openvex import openvex
from scanner.export.sarif import sarif
from scanner.export.table import csv_table, markdown, text_table

__all__ = ["FORMATS", "Evaluated", "Standing", "bom_link", "text_table"]

FORMATS: Mapping[str, Callable[[Evaluated], bytes]] = {
    "sarif": sarif,
    "cyclonedx-vdr": vdr,
    "cyclonedx-vex": vex,
    "openvex": openvex,
    "csv": csv_table,
    "markdown": markdown,
    "table": text_table,
}
"""Every format by the name that the command line has for it."""
