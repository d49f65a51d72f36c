"""Exit codes 50 to 52: order and time."""

from kit.errors.base import StellaError


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
