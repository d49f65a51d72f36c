"""Exit codes 40, 41: media."""

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
    """The kit builds on another kit that this site does not have."""

    exit_code = 41
    sentence = "The kit's base is missing at this site."
    next_step = "Import the base kit first, or ask for a full kit."
