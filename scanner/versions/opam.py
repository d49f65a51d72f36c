"""OCaml packages: Debian's order without an epoch (docs/matching.md section 3.9; opam manual, "version ordering")."""

import re
from typing import Any, Final, TypeAlias

from scanner.versions import dpkg
from scanner.versions.form import read

Key: TypeAlias = tuple[Any, ...]

_FORM: Final = re.compile(r"[0-9A-Za-z_+.~-]++")


def key(version: str) -> Key:
    """Return the sortable key of a version of an OCaml package: every text of opam's characters has one."""
    text = read(_FORM, version)[0]
    upstream, hyphen, revision = text.rpartition("-")
    return (*dpkg.part(upstream), *dpkg.part(revision)) if hyphen else (*dpkg.part(text), *dpkg.part(""))
