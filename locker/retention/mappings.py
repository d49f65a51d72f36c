"""Who a bundle belongs to: every (tenant, scan or site result, bundle) that retention and holds speak of.

Inputs and outputs of scans, and results of sites. RootPacks are trust, manifests, envelopes and proofs the record of
what was there: none of them is ever purged.
"""

import sqlalchemy as sa

from locker import rows

ROLES = ("input", "output")
SITE_RESULT = "site-result"


def of_scans() -> sa.Select[tuple[str, str, str, str]]:
    """Return a selection of tenant, mapping, digest, kind of the scans' bundles; its runs can be narrowed."""
    runs, mapped = rows.runs.c, rows.run_bundles.c
    return (
        sa.select(
            runs.tenant, runs.id.label("mapping"), mapped.bundle_digest.label("digest"), mapped.role.label("kind")
        )
        .select_from(sa.join(rows.run_bundles, rows.runs, mapped.run_id == runs.id))
        .where(mapped.role.in_(ROLES))
    )


def of_sites() -> sa.Select[tuple[str, str, str, str]]:
    """Return a selection of tenant, mapping, digest, kind of the bundles with what sites said."""
    table = rows.site_results.c
    kind = sa.literal(SITE_RESULT).label("kind")
    return sa.select(table.tenant, table.digest.label("mapping"), table.bundle_digest.label("digest"), kind)


def undeclared() -> sa.Subquery:
    """Return the mappings without a declaration, of scans and sites alike."""
    return sa.union_all(*_undeclared()).subquery()


def has_undeclared(digest: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a bundle has a mapping without a declaration."""
    return sa.or_(*(part.where(part.selected_columns["digest"] == digest).exists() for part in _undeclared()))


def _undeclared() -> list[sa.Select[tuple[str, str, str, str]]]:
    declared = rows.retention.declarations.c
    parts = []
    for part in (of_scans(), of_sites()):
        columns = part.selected_columns
        known = sa.exists().where(
            declared.digest == columns["digest"],
            declared.tenant == columns["tenant"],
            declared.mapping == columns["mapping"],
        )
        parts.append(part.where(~known))
    return parts
