"""Listing the components of scans that were kept before there were lists: each output bundle is unpacked once."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from kit import manifest
from kit.bundle import BundleReader
from kit.errors import ServerUnreachable, StellaError
from locker import cas, rows
from locker.holds import components
from locker.rows.retention import component_lists

if TYPE_CHECKING:
    from locker.store import Locker


def bring_up_to_date(locker: "Locker", tenant: str) -> int:
    """List the components of a tenant's scans whose SBOM was not read yet; return how many SBOMs were."""
    runs = rows.runs.c
    sbom = runs.outputs["sbom"].as_string()
    wanted = sa.select(sbom.label("sbom"), sa.func.min(runs.manifest_hash).label("manifest_hash"))
    wanted = wanted.where(runs.tenant == tenant, runs.status.in_((rows.VERIFIED, rows.REPLAYED)))
    wanted = wanted.where(sbom.is_not(None), sbom.not_in(sa.select(component_lists.c.sbom)))
    with locker.rows.read() as connection:
        found = connection.execute(wanted.group_by(sbom).order_by(sbom)).all()
    for row in found:
        listed = _read(locker, row.manifest_hash)
        with locker.rows.write() as connection:
            components.add(connection, row.sbom, listed)
    return len(found)


def _read(locker: "Locker", manifest_hash: str) -> components.Listed:
    try:
        raw = b"".join(locker.cas.read(manifest_hash, cas.DOCUMENT))
        described = manifest.parse(raw).bundles.output
        with (
            locker.tiers.file(described.archive_digest, locker.work) as archive,
            BundleReader(archive, described) as outputs,
        ):
            outputs.verify()
            return components.read(outputs)
    except ServerUnreachable:
        raise
    except StellaError as fault:
        return components.Listed((), fault.reason)
