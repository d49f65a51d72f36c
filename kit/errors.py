"""The error family: one class per cause, with reason code, exit code, sentence and next step (docs/reason-codes.md).

The class name is the reason code. Details travel as fields, so that a caller renders them as text or JSON without
parsing prose.
"""

from typing import ClassVar, Self

MAX_DETAIL = 512
"""How much of a foreign text an error repeats, in characters."""


def _short(value: str | int) -> str | int:
    return value if isinstance(value, int) or len(value) <= MAX_DETAIL else value[:MAX_DETAIL] + "..."


class StellaError(Exception):
    """Base of every error that a user can meet; never raised itself.

    Keyword arguments are the details of one occurrence: ``path``, ``expected``, ``found``, ``pointer``, ``detail`` and
    the like. Values are strings or integers, already fit to be shown (no absolute path of the machine, no secret).
    """

    exit_code: ClassVar[int] = 1
    sentence: ClassVar[str] = "Something went wrong."
    next_step: str = "Report this as a bug."

    def __init__(self, **details: str | int) -> None:
        super().__init__(details)
        self.details: dict[str, str | int] = {name: _short(value) for name, value in details.items()}

    def then(self, next_step: str) -> Self:
        """Return the error with another next step than its class's, where the occurrence asks for one."""
        self.next_step = next_step
        return self

    @property
    def reason(self) -> str:
        """Return the stable reason code, the name of the class."""
        return type(self).__name__

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {value}" for name, value in self.details.items())
        return f"{self.sentence} ({shown})" if shown else self.sentence


# 1, 2, 130: the program and its use


class InternalError(StellaError):
    """A bug: an exception that no rule of ours foresaw."""

    sentence = "The program failed in a way it does not know."
    next_step = "Keep the run directory and report this as a bug."


class UsageError(StellaError):
    """The command line, or a file that the operator wrote, asks for something that does not exist."""

    exit_code = 2
    sentence = "The command cannot be carried out as given."
    next_step = "See the command's --help."

    def __str__(self) -> str:
        """Return the detail as the sentence, for it says what is wrong; the other details follow it."""
        detail = self.details.get("detail")
        if not isinstance(detail, str) or not detail:
            return super().__str__()
        others = ", ".join(f"{name} {value}" for name, value in self.details.items() if name != "detail")
        return f"{detail.rstrip('.')}." + (f" ({others})" if others else "")


class NotSiteResults(StellaError):
    """A file that does not begin like one of site results was given as one; nothing of it was kept or is shown."""

    exit_code = 2
    sentence = "This is not a file of site results; nothing of it was kept."
    next_step = "Give the file that stella sync export wrote at the site, such as results.stella-sync."


class Interrupted(StellaError):
    """The operator or the system stopped the run."""

    exit_code = 130
    sentence = "Interrupted; nothing was finished."
    next_step = "Run the same command again; it is safe."


# 10, 12: the replay


class ReplayDiffers(StellaError):
    """The replayed outputs are not the recorded bytes."""

    exit_code = 10
    sentence = "The replay gave other outputs than the recorded ones."
    next_step = "Read diff.json or report.html in the run directory; hand back the receipt."


class PolicyVerdictFailed(StellaError):
    """The evaluation is sound and its verdict is "fail", where the caller asked to be told by exit code."""

    exit_code = 12
    sentence = "The policy's verdict on the scan is fail."
    next_step = "Read verdict.json for the deciding rules."


# 20 to 24: trust


class SignatureInvalid(StellaError):
    """A signature by a known key does not fit the bytes, or too few distinct keys signed."""

    exit_code = 20
    sentence = "A signature does not fit the signed bytes."
    next_step = "Do not use this kit; ask the sender for a fresh copy and report the receipt."


class SignerUnknown(StellaError):
    """No trusted key of the required usage made any of the signatures."""

    exit_code = 21
    sentence = "None of the signers is trusted for this use."
    next_step = "Compare the signer's fingerprint with your RootPack (stella look)."


class SignerRetired(StellaError):
    """The signer's key was outside its window of validity."""

    exit_code = 21
    sentence = "The signer's key was not valid at that time."
    next_step = "Ask the sender for it signed by a current key."


class SignerNotYetValid(StellaError):
    """The signer's key was not valid yet at the reference time, which nearly always means that a clock is behind."""

    exit_code = 21
    sentence = "The signer's key is not valid yet at the reference time: the site's clock is behind, or --at is."
    next_step = "Check the site's clock (date -u) and --at; if both are right, ask the sender when its key begins."


class SignerRevoked(StellaError):
    """The signer's key stands on the revocation list."""

    exit_code = 21
    sentence = "The signer's key has been revoked."
    next_step = "Do not use this kit; ask the sender for one signed by a current key."


class SignerUnfit(StellaError):
    """A record or kit would be signed by a key that the RootPack does not trust for it, so sites would refuse it."""

    exit_code = 21
    sentence = "This key cannot sign for sites that follow the RootPack; nothing was made."
    next_step = "Sign with a key of usage kit that is valid now: see stella rootpack show."


class EvidenceMissing(StellaError):
    """An envelope or proof that the rules demand is not there."""

    exit_code = 22
    sentence = "Required evidence is missing."
    next_step = "Ask the sender for a complete kit."


class LedgerConsistencyMissing(StellaError):
    """A log has grown since this site last saw it, and the kit does not show that it only grew."""

    exit_code = 22
    sentence = "The kit does not show that the log only grew since this site last saw it."
    next_step = "Ask the sender to attest the record again, naming the size remembered here: stella attest --from SIZE."


class SignaturesMissing(StellaError):
    """The next version of a RootPack lacks signatures of its keepers, so it was not published."""

    exit_code = 22
    sentence = "Too few keepers have signed the next version of the RootPack; nothing was published."
    next_step = "Have another keeper sign the file: stella rootpack sign FILE --keys DIR; then publish again."


class DraftsDiffer(StellaError):
    """Two files that should be copies of one proposed version of a RootPack propose different things."""

    exit_code = 23
    sentence = "These files do not propose the same version of the RootPack; nothing was published."
    next_step = "Compare the fingerprints that each keeper saw while signing; find out which file was changed."


class TrustRootNotPinned(StellaError):
    """This site has pinned no trust root, so nothing can be called verified."""

    exit_code = 23
    sentence = "No trust root is pinned at this site."
    next_step = (
        "Compare the fingerprint with the one you received by another way, then run: "
        "stella offline init --root FILE --expect-root SHA256:..."
    )


class RootNotExpected(StellaError):
    """The root file is not the one whose fingerprint the operator gave."""

    exit_code = 30
    sentence = "This root is not the one whose fingerprint you gave; nothing was pinned."
    next_step = "Compare each group with your sheet; if the sheet really differs, stop and call the sender."


class TrustRootRefused(StellaError):
    """The RootPack does not extend the pinned root: broken chain, wrong threshold, rollback or malformed metadata."""

    exit_code = 23
    sentence = "The RootPack does not follow from the pinned trust root."
    next_step = "Do not use this kit; ask the sender which RootPack it was built with."


class LedgerProofWrong(StellaError):
    """A transparency-log proof does not hold."""

    exit_code = 24
    sentence = "The ledger proof does not hold."
    next_step = "Do not rely on this kit's ledger evidence; report the receipt."


class LedgerEntryForeign(StellaError):
    """An entry of a log is genuine or not, but about another envelope, signature or key than ours."""

    exit_code = 24
    sentence = "The ledger entry is about something else than this scan's envelope."
    next_step = "Ask the sender to attest this record and to build the kit again."


class LedgerUnknown(StellaError):
    """No key of usage log that the RootPack trusts is named under the log's origin."""

    exit_code = 24
    sentence = "The log is none that the RootPack trusts."
    next_step = "Ask the sender which log it is, and for a RootPack that names its key."


class LedgerSignatureInvalid(StellaError):
    """A signature of a trusted log or witness does not fit the checkpoint or the promise."""

    exit_code = 24
    sentence = "A trusted log's or witness's signature does not fit."
    next_step = "Do not rely on this kit's ledger evidence; report the receipt."


class LedgerQuorumMissing(StellaError):
    """Fewer trusted witnesses than the RootPack asks for have cosigned a checkpoint."""

    exit_code = 24
    sentence = "Too few trusted witnesses have seen the log's checkpoint."
    next_step = "Ask the sender for a checkpoint that enough witnesses have cosigned."


class LedgerForked(StellaError):
    """A log showed this site another tree before than it shows now, and no tree holds both."""

    exit_code = 24
    sentence = "The log contradicts what it showed this site before: it was forked or rewritten."
    next_step = "Keep both kits, trust neither, and report the receipt: this is an attack or a grave fault of the log."


class LedgerRolledBack(StellaError):
    """A log's checkpoint is older than what this site remembers, and nothing shows that it belongs to the same tree."""

    exit_code = 24
    sentence = "The log's checkpoint is older than what this site remembers, and of a tree it has never seen."
    next_step = "Ask the sender to attest the record again and to build a kit with it."


# 30 to 33: integrity


class DigestMismatch(StellaError):
    """Bytes differ from the digest that was signed for them."""

    exit_code = 30
    sentence = "A file's bytes are not the signed ones."
    next_step = "Copy the medium again; if it happens again, ask for a fresh kit."


class SizeMismatch(StellaError):
    """A file or member is longer or shorter than signed."""

    exit_code = 30
    sentence = "A file's size is not the signed one."
    next_step = "Copy the medium again; if it happens again, ask for a fresh kit."


class MerkleRootMismatch(StellaError):
    """A Merkle root derived from the content is not the recorded one."""

    exit_code = 30
    sentence = "A Merkle root does not match its content."
    next_step = "Do not use this kit; report the receipt."


class MalformedDocument(StellaError):
    """A document does not follow its schema or is not valid JSON, TOML or the like."""

    exit_code = 31
    sentence = "A document is malformed."
    next_step = "Ask the sender for a well-formed document."


class NotCanonical(StellaError):
    """A signed document is not in canonical form, or holds a value that the canonical form refuses."""

    exit_code = 31
    sentence = "A document is not in canonical form."
    next_step = "Ask the sender for a fresh kit, built by an unmodified stella."


class DuplicateMember(StellaError):
    """A JSON object names a member twice."""

    exit_code = 31
    sentence = "A JSON object has the same member twice."
    next_step = "Do not use this document; two readers could see two contents."


class UnsupportedVersion(StellaError):
    """A document has a schema version or contract that this program does not know."""

    exit_code = 31
    sentence = "A document's version is not one that this program knows."
    next_step = "Use the verifier that travels in the kit's bin/ directory, or a newer one."


class VerifierTooOld(StellaError):
    """The manifest demands a newer verifier than this one."""

    exit_code = 31
    sentence = "The scan asks for a newer verifier than this program."
    next_step = "Use the verifier that travels in the kit's bin/ directory, or a newer one."


class MatchContractDiffers(StellaError):
    """A feed snapshot was indexed by other matching rules than this program looks it up by."""

    exit_code = 31
    sentence = "A feed snapshot was made under other matching rules; this program would silently find less in it."
    next_step = "Use the verifier of the kit's bin/ directory, or ask the sender to make the snapshot anew."


class LimitExceeded(StellaError):
    """Input is larger, deeper or more numerous than declared or allowed."""

    exit_code = 31
    sentence = "The input exceeds a limit."
    next_step = "Do not use this kit; report the receipt."


class HostileName(StellaError):
    """A file name breaks the name rules."""

    exit_code = 31
    sentence = "A file name is not allowed."
    next_step = "Do not use this kit; report the receipt."


class NameCollision(StellaError):
    """Two names would be one file on some file system, or a file would be another's parent."""

    exit_code = 31
    sentence = "Two file names collide."
    next_step = "Do not use this kit; report the receipt."


class MalformedTar(StellaError):
    """A tar stream is not byte for byte what the writer makes of the signed member list."""

    exit_code = 31
    sentence = "A bundle's tar stream is not in the one accepted form."
    next_step = "Do not use this kit; report the receipt."


class MalformedFrame(StellaError):
    """A Zstandard frame breaks the frame rules or does not decode."""

    exit_code = 31
    sentence = "A compressed frame is not in the one accepted form."
    next_step = "Copy the medium again; if it happens again, ask for a fresh kit."


class KeyRefused(StellaError):
    """A key is weak, damaged, or of an algorithm or encoding that is not accepted."""

    exit_code = 31
    sentence = "A key is not acceptable."
    next_step = "Use an ECDSA P-256 or Ed25519 key in PEM (PKCS#8 private, SubjectPublicKeyInfo public)."


class FileMissing(StellaError):
    """A signed file or member is not there."""

    exit_code = 32
    sentence = "A file is missing."
    next_step = "Copy the medium again; if it happens again, ask for a fresh kit."


class FileUndeclared(StellaError):
    """A file or member is there that nobody signed."""

    exit_code = 32
    sentence = "There is a file that is not in the signed list."
    next_step = "Remove the foreign file only if you know how it got there; otherwise ask for a fresh kit."


class ToolHashMismatch(StellaError):
    """A tool or the engine is not the recorded one."""

    exit_code = 33
    sentence = "A tool is not the recorded one."
    next_step = (
        "Use the verifier of the kit's bin/ directory, or ask what a newer tool would say: --what-if --vary=tools."
    )


# 40, 41: media


class VolumeMissing(StellaError):
    """A volume of the kit is not there."""

    exit_code = 40
    sentence = "A volume of the kit is missing."
    next_step = "Bring the named volume and run again."


class DeltaBaseMissing(StellaError):
    """The kit builds on another kit that this site does not have."""

    exit_code = 41
    sentence = "The kit's base is missing at this site."
    next_step = "Import the base kit first, or ask for a full kit."


# 50 to 52: order and time


class OlderThanAccepted(StellaError):
    """The kit or its RootPack is older than what this site has accepted."""

    exit_code = 50
    sentence = "This is older than what the site has already accepted."
    next_step = "Ask for the current kit."


class AlreadyAccepted(StellaError):
    """The very same thing was accepted before."""

    exit_code = 51
    sentence = "There is something here already; nothing was changed."
    next_step = "If it is the same thing, nothing needs to be done; otherwise choose another place or name."


class TrustExpired(StellaError):
    """Trust metadata has expired at the reference time; nothing says it is forged."""

    exit_code = 52
    sentence = "The RootPack has expired at the reference time; it is not forged."
    next_step = "Ask for a kit with a current RootPack, or check the site's clock."


class KitStale(StellaError):
    """The kit is older than its staleness window; nothing says it is forged."""

    exit_code = 52
    sentence = "The kit is older than its staleness window; it is not forged."
    next_step = "Ask for a current kit, or check the site's clock."


class TrustStale(StellaError):
    """The RootPack was issued longer ago than this site allows; nothing says it is forged or expired."""

    exit_code = 52
    sentence = "The RootPack is older than this site's own budget allows; it is not forged and has not expired."
    next_step = "Ask for a kit with a newer RootPack; the budget is set in site.toml of the site's directory."


class TrustFromFuture(StellaError):
    """The RootPack was issued after the reference time, further than two clocks may differ."""

    exit_code = 52
    sentence = "The RootPack was issued after the reference time: the site's clock is behind, or it is post-dated."
    next_step = "Check the site's clock; if it is right, ask the sender for a RootPack with the right time."


class KitFromFuture(StellaError):
    """The kit was made after the reference time, so its age says nothing."""

    exit_code = 52
    sentence = "The kit was made after the reference time: the site's clock is behind, or the kit is post-dated."
    next_step = "Check the site's clock; if it is right, ask the sender for a kit with the right time."


# 60, 61: environment


class NotWritable(StellaError):
    """The place for results cannot be written."""

    exit_code = 60
    sentence = "The output place cannot be written."
    next_step = "Give a writable directory with --ops or --out."


class NotReadable(StellaError):
    """An input is there and cannot be read: permissions, or a failing medium."""

    exit_code = 60
    sentence = "An input cannot be read."
    next_step = "Check its permissions, and the medium for damage; copy the medium again."


class NoSpace(StellaError):
    """The file system is full."""

    exit_code = 60
    sentence = "There is no space left for the results."
    next_step = "Free some space and run again; nothing half-finished counts."


class SiteDamaged(StellaError):
    """A file of the site's own state is missing, or is not what the site wrote; no kit has a part in it."""

    exit_code = 60
    sentence = "This site's own state is damaged; the kit has no part in it."
    next_step = (
        "Restore this file from the site's backup. Without one, make a new site in another place (stella offline init "
        "--site): it does not know which kits were accepted before, and its new key must be sent home."
    )


class UnsuitableFileSystem(StellaError):
    """The locker would lie on a network file system, whose locks and flushes a database cannot rely on."""

    exit_code = 60
    sentence = "A locker cannot live on a network file system."
    next_step = "Put the locker on a local disk, or run it where the disk is."


class GuardNotInForce(StellaError):
    """The network guard could not be put in force, so nothing was read."""

    exit_code = 61
    sentence = "The network guard is not in force."
    next_step = "Run on a kernel with seccomp (Linux 3.17 or newer)."


class AirgapEgressBlocked(StellaError):
    """Something tried to open a network connection and was stopped."""

    exit_code = 61
    sentence = "AIRGAP_EGRESS_BLOCKED: a connection attempt was stopped."
    next_step = "Report the receipt; nothing of this run counts as verified."


# 70, 71: what is held here already


class RefusedByHold(StellaError):
    """A legal hold or a retention brake forbids it."""

    exit_code = 70
    sentence = "A hold or a retention brake forbids this."
    next_step = "Nothing was changed; ask the keeper of the locker which hold or brake it is."


class LockerConflict(StellaError):
    """The locker already holds something else under the same identity."""

    exit_code = 71
    sentence = "The locker holds something else under this identity."
    next_step = "Compare both with stella diff; neither was changed."


class OtherRootPinned(StellaError):
    """Another trust root is pinned at this place; a site changes roots by rotation only."""

    exit_code = 71
    sentence = "Another trust root is pinned here; it stays, and nothing was changed."
    next_step = "Show the pinned one: stella offline status. For another sender, make a site of its own: --site."
