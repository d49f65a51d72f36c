"""What a hold's scope means, as a selection of bundles; the same when it is made and, later, at an ingest."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import sqlalchemy as sa

from kit.bytes.digest import hex_of
from locker import rows
from locker.holds import components
from locker.retention.mappings import of_scans, of_sites
from locker.rows.retention import COMPONENT, DIGEST, TIME_RANGE

Asked = Mapping[str, object]


def matched(
    connection: sa.Connection, tenant: str, scope: str, asked: Asked, *, mapping: str | None = None
) -> list[str]:
    """Return the digests, in hex and ascending, of a tenant's bundles in a scope; of one mapping only, if asked."""
    of_runs, of_results = _conditions(tenant, scope, asked)
    scans, sites = (
        of_scans().where(rows.runs.c.tenant == tenant),
        of_sites().where(rows.site_results.c.tenant == tenant),
    )
    selections = [scans.where(of_runs), sites.where(of_results)]
    if mapping is not None:
        selections = [each.where(each.selected_columns["mapping"] == mapping) for each in selections]
    return sorted({row.digest for each in selections for row in connection.execute(each)})


def _conditions(tenant: str, scope: str, asked: Asked) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Return what is asked of a run's row, and of a site's result; a result about a matching run matches too."""
    runs, results = rows.runs.c, rows.site_results.c
    if scope == DIGEST:
        digests = cast("list[str]", asked["digests"])
        bare = [hex_of(each) for each in digests]
        whole = sa.or_(runs.manifest_hash.in_(digests), runs.subject_digest.in_(digests))
        return (
            sa.or_(whole, rows.run_bundles.c.bundle_digest.in_(bare)),
            sa.or_(results.bundle_digest.in_(bare), results.digest.in_(bare), _about(tenant, whole)),
        )
    if scope == COMPONENT:
        name, version = components.named(str(asked["purl"]))
        sbom = runs.outputs["sbom"].as_string()
        # What could not be read may list anything: a hold takes it rather than lose it.
        listed = sa.or_(sbom.in_(components.listing(name, version)), sbom.not_in(components.readable()), sbom.is_(None))
        return listed, _about(tenant, listed)
    if scope == TIME_RANGE:
        start, end = (datetime.fromisoformat(str(asked[name])) for name in ("from", "to"))
        return (
            sa.or_(runs.scan_time.between(start, end), runs.created_at.between(start, end)),
            sa.or_(results.finished_at.between(start, end), results.received_at.between(start, end)),
        )
    return sa.true(), sa.true()


def _about(tenant: str, of_runs: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    manifests = sa.select(rows.runs.c.manifest_hash).where(rows.runs.c.tenant == tenant, of_runs)
    return rows.site_results.c.manifest_hash.in_(manifests)
