"""Exit codes 70, 71: what is held here already, and what contradicts it."""

from kit.errors.base import StellaError


class RefusedByHold(StellaError):
    """A legal hold or a retention brake forbids it."""

    exit_code = 70
    sentence = "A hold or a retention brake forbids this."
    next_step = "Nothing was changed; ask the keeper of the locker which hold or brake it is."


class RetentionBrake(StellaError):
    """A retention run would purge more at once than anybody expects."""

    exit_code = 70
    sentence = "The run would purge more than is plausible; nothing was purged."
    next_step = (
        "Look at it: stella retention run --dry-run. If it is right, run again with the --allow option and a reason."
    )


class ClockNotPlausible(StellaError):
    """The clock is behind what the locker has seen, or far ahead of the last retention run."""

    exit_code = 70
    sentence = "The clock is not plausible; nothing was marked, moved or purged."
    next_step = "Check the clock. If it is right, run again with --allow-clock and the reason."


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


class SiteForked(StellaError):
    """Two receipts of one site name the same receipt before them, which a site that remembers never writes."""

    exit_code = 71
    sentence = "Two receipts of this site follow the same one: it was cloned, or its memory was set back."
    next_step = (
        "Ask the site whether it was restored from a copy, and whether one of these runs was cut off (cut-off.txt); "
        "if neither, somebody else has its key."
    )
