"""Exit codes 70, 71: what is held here already."""

from kit.errors.base import StellaError


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
