"""How the receipts of a site that came home hang together: gaps and forks of its chain (kit.receipt_chain).

The timeline says of every imported run which receipt it left and which one that names; nothing else is needed.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from kit.receipt_chain import Chain, Link, of_site
from locker.rows import events

IMPORTED = "replay.result.imported"


def chains(connection: sa.Connection, site: str | None = None) -> dict[str, Chain]:
    """Return the chain of every site that sent results, or of one, by the fingerprint of its key."""
    told = sa.select(events.c.details).where(events.c.kind == IMPORTED).order_by(events.c.sequence)
    links: dict[str, list[Link]] = {}
    for details in connection.execute(told).scalars():
        if "receipt" in details and site in (None, details["site"]):
            link = Link(details["receipt"], details["previousReceipt"] or None, details["finishedAt"])
            links.setdefault(details["site"], []).append(link)
    return {name: of_site(those) for name, those in sorted(links.items())}


def described(found: dict[str, Chain]) -> list[dict[str, object]]:
    """Return chains as plain values."""
    return [
        {
            "site": site,
            "receipts": len(chain.links),
            "newest": chain.newest or "",
            "missing": [gap.missing for gap in chain.gaps],
            "forked": [list(fork.followers) for fork in chain.forks],
        }
        for site, chain in found.items()
    ]


def warnings(found: dict[str, Chain]) -> Iterable[str]:
    """Yield what is amiss with chains, a sentence each."""
    for site, chain in found.items():
        for gap in chain.gaps:
            yield f"receipts of {site}: {gap.missing} is missing, which {gap.before} follows"
        for fork in chain.forks:
            yield f"receipts of {site} FORK: {' and '.join(fork.followers)} follow the same one"
