"""What is told of receipts that came home: one that is genuine, or the chains that several make.

A receipt is a site's word about its own replay. Nothing here repeats that word as if it were ours.
"""

from collections.abc import Sequence

import msgspec

from kit import receipt_chain
from kit.errors import ReceiptMissing, SiteForked, StellaError
from kit.receipt import Genuine, check_number
from kit.receipt_chain import Chain
from kit.receipt_slip import PREFIX
from verifier import texts
from verifier.receipt_intake import Sites, link_of
from verifier.render import receipt_facts, receipt_text, row

SCHEMA_VERSION = "1.0"
_LABELS = ("VERDICT", "REASON", "EXIT CODE", "NUMBER", "RUN", "MODE", "FINISHED", "KIT", "SEQUENCE", "SCAN")
_OWN_WORD = "the site's own word on its own replay; nothing was replayed here"


class Told(msgspec.Struct, frozen=True):
    """What several receipts come to, as text, as a document, and as verdict, exit code and next step."""

    text: str
    document: dict[str, object]
    verdict: tuple[str, int, str]


def said(genuine: Genuine, sites: Sites) -> str:
    """Return who says what of which scan, in a line."""
    receipt = genuine.receipt
    word = receipt.verdict if receipt.reason == "Ok" else f"{receipt.verdict}, {receipt.reason},"
    about = f"of scan {receipt.scan_id}" if receipt.scan_id else "of a scan that was not established"
    return f"{sites.called(genuine.signer)} says {word} {about}"


def as_text(genuine: Genuine, sites: Sites) -> str:
    """Return a genuine receipt line by line, in the order of the printed one."""
    receipt = genuine.receipt
    lines = [
        *row("signed by", f"{sites.called(genuine.signer)}"),
        *row("it says", f"{receipt.verdict}, reason {receipt.reason}, exit code {receipt.exit_code}"),
        *row("", _OWN_WORD),
        *row("number", check_number(genuine.digest)),
    ]
    lines += [line for label, value in receipt_facts(receipt) for line in row(label, value)]
    return "\n".join([*lines, *row("receipt", texts.grouped(genuine.digest))])


def contradictions(data: bytes, genuine: Genuine) -> list[str]:
    """Return what the readable words before the slip of a printed receipt say otherwise than the slip itself.

    The words are nobody's: only the slip is signed. Each line that a receipt has once, by its label, is compared.
    """
    words, slip, _ = data.decode("utf-8", "replace").upper().partition(PREFIX)
    if not slip or data.lstrip().startswith(b"{"):
        return []
    wanted = _labelled(receipt_text(genuine.receipt).upper())
    said = _labelled(words)
    return [label for label, value in wanted.items() if label in said and said[label] != value]


def _labelled(text: str) -> dict[str, str]:
    """Return the values of a printed receipt by label: those that can be told apart from other lines."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        for label in _LABELS:
            if line.startswith(f"{label} "):
                found.setdefault(label, " ".join(line.removeprefix(label).split()))
    return found


def as_document(genuine: Genuine, sites: Sites) -> dict[str, object]:
    """Return a genuine receipt as plain values."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "genuine": True,
        "site": genuine.signer.fingerprint,
        "owner": sites.owner(genuine.signer),
        "checkNumber": check_number(genuine.digest),
        "receiptDigest": genuine.digest,
        "receipt": msgspec.to_builtins(genuine.receipt),
    }


def chains(found: Sequence[Genuine], refused: Sequence[tuple[str, StellaError]], sites: Sites) -> Told:
    """Return the chain of every site, and the verdict on all: the first refusal, else a fork, else a gap."""
    by_site: dict[str, list[Genuine]] = {}
    for genuine in found:
        by_site.setdefault(genuine.signer.fingerprint, []).append(genuine)
    made = {site: receipt_chain.of_site(map(link_of, those)) for site, those in sorted(by_site.items())}
    blocks = [_chain_text(chain, by_site[site], sites) for site, chain in made.items()]
    blocks += ["\n".join(row("REFUSED", f"{name}: {error.reason}: {error}")) for name, error in refused]
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "sites": [_chain_document(chain, by_site[site], sites) for site, chain in made.items()],
        "refused": [{"file": name, "reason": error.reason, "message": str(error)} for name, error in refused],
    }
    verdict = _verdict(list(made.values()), refused)
    return Told(
        "\n\n".join(blocks), document | {"reason": verdict[0].partition(":")[0], "exitCode": verdict[1]}, verdict
    )


def _verdict(made: Sequence[Chain], refused: Sequence[tuple[str, StellaError]]) -> tuple[str, int, str]:
    if refused:
        _, error = refused[0]
        return f"{error.reason}: {len(refused)} refused", error.exit_code, error.next_step
    forks, gaps = sum(len(chain.forks) for chain in made), sum(len(chain.gaps) for chain in made)
    if forks:
        return f"{SiteForked.__name__}: {_count(forks, 'fork')}", SiteForked.exit_code, SiteForked.next_step
    if gaps:
        return f"{ReceiptMissing.__name__}: {_count(gaps, 'gap')}", ReceiptMissing.exit_code, ReceiptMissing.next_step
    links = sum(len(chain.links) for chain in made)
    return f"WHOLE: {_count(links, 'receipt')} of {_count(len(made), 'site')}", 0, ""


def _chain_text(chain: Chain, those: Sequence[Genuine], sites: Sites) -> str:
    known = {genuine.digest: genuine for genuine in those}
    places = {link.digest: str(number) for number, link in enumerate(chain.links, start=1)}
    gaps = {gap.before: gap.missing for gap in chain.gaps}
    signer = those[0].signer
    lines = [
        *row("site", f"{sites.called(signer)}"),
        *row("key", texts.grouped(signer.fingerprint)),
    ]
    for link in chain.links:
        if link.digest in gaps:
            lines += row("GAP", f"missing: {texts.grouped(gaps[link.digest])}")
        receipt = known[link.digest].receipt
        facts = (receipt.finished_at, check_number(link.digest), f"{receipt.verdict:<8}", receipt.reason)
        lines += row(places[link.digest], "  ".join(facts))
        if link.digest in chain.backwards:
            lines += row("", "the site's clock says that it ended before the one that it follows")
    for fork in chain.forks:
        names = " and ".join(places[one] for one in fork.followers)
        each = "each call themselves the site's first" if fork.previous is None else "follow the same receipt"
        before = f" {places[fork.previous]}" if fork.previous in places else ""
        lines += row("FORK", f"{names} {each}{before}")
    if chain.newest is not None:
        newest = known[chain.newest].receipt
        lines += row("newest", f"{places[chain.newest]}, of {newest.finished_at}; what came after it is not known here")
    return "\n".join(lines)


def _chain_document(chain: Chain, those: Sequence[Genuine], sites: Sites) -> dict[str, object]:
    known = {genuine.digest: genuine for genuine in those}
    return {
        "site": those[0].signer.fingerprint,
        "owner": sites.owner(those[0].signer),
        "receipts": [as_document(known[link.digest], sites) for link in chain.links],
        "gaps": [{"missing": gap.missing, "before": gap.before} for gap in chain.gaps],
        "forks": [{"previous": fork.previous or "none", "followers": list(fork.followers)} for fork in chain.forks],
        "backwards": list(chain.backwards),
        "newest": chain.newest,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
