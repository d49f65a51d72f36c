"""Exit codes 40, 41, and what is told of sealed media (22, 30)."""

from kit.errors.base import StellaError


class VolumeMissing(StellaError):
    """A volume of the kit is not there."""

    exit_code = 40
    sentence = "A volume of the kit is missing."
    next_step = "Bring the named volume and run again."


class VolumeForeign(StellaError):
    """A volume belongs to another kit than the others, or to another split of it."""

    exit_code = 40
    sentence = "A volume does not belong to this set."
    next_step = "Take it out, and bring the volume of the set that is named; every volume's VOLUME.json says which."


class DeltaBaseMissing(StellaError):
    """The kit came as a delta on another kit, which this site does not have any more, or not whole."""

    exit_code = 41
    sentence = "The kit that this delta builds on is not whole at this site."
    next_step = "Import the base kit again, or ask for the full kit: it is the same kit, with the same number."


class DeltaNotRebuilt(StellaError):
    """A delta was to be verified or replayed where it lies, without the files that it leaves out."""

    exit_code = 41
    sentence = "This medium holds a delta of the kit, not the whole of it."
    next_step = "Take it in first: stella offline import MEDIA; then replay from ops/kits/current."


class ReceiptUnfit(StellaError):
    """A receipt is genuine, and does not say that its site keeps the kit that a delta would build on."""

    exit_code = 41
    sentence = "This receipt does not prove that the site has the base kit."
    next_step = "Give the receipt of the import that made the kit active at the site, or build a full kit."


class SealKeyMissing(StellaError):
    """A medium is sealed for other keys than the one that is here."""

    exit_code = 22
    sentence = "This medium is sealed, and no key here opens it."
    next_step = "Send the sender this site's seal.pub.pem (stella offline encryption-key), or bring an unsealed kit."


class KitSealed(StellaError):
    """A sealed medium was to be verified or replayed where it lies."""

    exit_code = 22
    sentence = "This medium is sealed: what is on it can be read once it is opened."
    next_step = "Take it in: stella offline import MEDIA; or open it: stella offline open MEDIA --out DIR."


class SealBroken(StellaError):
    """What was sealed does not open: it was changed, moved, cut, mixed with another's, or sealed by mistake."""

    exit_code = 30
    sentence = "A sealed file does not open: its bytes are not those that were sealed there."
    next_step = "Bring the medium again: this copy is damaged, or was tampered with."
