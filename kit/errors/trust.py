"""Exit codes 20 to 24: trust."""

from kit.errors.base import StellaError


class SignatureInvalid(StellaError):
    """A signature by a known key does not fit the bytes, or too few distinct keys signed."""

    exit_code = 20
    sentence = "A signature does not fit the signed bytes."
    next_step = "Do not use this kit; ask the sender for a fresh copy and report the receipt."


class SigstoreBundleWrong(StellaError):
    """A Sigstore bundle beside a manifest is not what the manifest's envelope gives, or is of none of its signers."""

    exit_code = 20
    sentence = "A Sigstore bundle does not agree with the manifest's envelope."
    next_step = "Do not use this kit; ask the sender for a fresh copy and report the receipt."


class SigningFailed(StellaError):
    """An HSM or KMS gave something that is no signature of its public key over what was to be signed."""

    exit_code = 20
    sentence = "The key store gave no signature that fits the public key; it was not used."
    next_step = "Check that the public key file and the key URI are of the same key (stella rootpack show)."


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


class ReceiptMissing(StellaError):
    """A site's receipt names the one before it, and that one is not among those at hand."""

    exit_code = 22
    sentence = "A receipt of this site is missing from its chain."
    next_step = "Ask the site for the receipt with that digest; one of a run that was cut off lies in its directory."


class ProfileMissing(StellaError):
    """No key of a crypto profile signed that the keyring demands or the manifest claims."""

    exit_code = 22
    sentence = "A crypto profile that must be among the signers is not."
    next_step = "Ask the sender for a kit that a key of this profile has signed too."


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


class TimestampInvalid(StellaError):
    """A time stamp is not one that its trusted authority signed, or breaks a rule of RFC 3161."""

    exit_code = 20
    sentence = "A time stamp does not hold."
    next_step = "Do not rely on this kit's time stamps; report the receipt."


class TimestampForeign(StellaError):
    """A time stamp is about other bytes than the signatures of the envelope that it came with."""

    exit_code = 20
    sentence = "A time stamp is about something else than this envelope's signatures."
    next_step = "Ask the sender to stamp this record again (stella timestamp) and to build the kit again."


class TimestampUnknown(StellaError):
    """No time-stamping authority that the RootPack trusts made the time stamp."""

    exit_code = 21
    sentence = "The time stamp is by none of the authorities that the RootPack trusts."
    next_step = "Ask the sender which authority it is, and for a RootPack that names it (stella rootpack add-tsa)."


class TimestampExpired(StellaError):
    """A genuine time stamp was made outside of the window of its authority or of one of its certificates."""

    exit_code = 21
    sentence = "The time-stamping authority was not valid at the time that it stamped."
    next_step = "Ask the sender for a stamp by an authority that is valid, over a record signed anew."


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


class LedgerRefused(StellaError):
    """A log or a witness answered, and did not give the evidence that it was asked for."""

    exit_code = 22
    sentence = "The log or witness did not take what was submitted; nothing of its answer was kept."
    next_step = "Read its answer above; ask whoever runs it."


class LedgerRolledBack(StellaError):
    """A log's checkpoint is older than what this site remembers, and nothing shows that it belongs to the same tree."""

    exit_code = 24
    sentence = "The log's checkpoint is older than what this site remembers, and of a tree it has never seen."
    next_step = "Ask the sender to attest the record again and to build a kit with it."
