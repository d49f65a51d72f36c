"""Exit codes 60, 61: environment."""

from kit.errors.base import StellaError


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


class LedgerUnreachable(StellaError):
    """A log or a witness on the network gave no whole answer, however often it was asked."""

    exit_code = 60
    sentence = "The log or witness cannot be reached, or fails."
    next_step = "Check the address, the proxy settings and the service; run again: it is safe."


class KeyStoreFailed(StellaError):
    """The HSM or KMS that holds a private key was not reached, or refused to sign."""

    exit_code = 60
    sentence = "The key store that holds a private key did not sign."
    next_step = (
        "Check that it is reachable and its PIN is right (a token locks itself after a few wrong ones); run again."
    )


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
    next_step = "Run on a kernel with seccomp (Linux 3.17 or newer); if you were told to: --without-guard REASON."


class AirgapEgressBlocked(StellaError):
    """Something tried to open a network connection and was stopped."""

    exit_code = 61
    sentence = "AIRGAP_EGRESS_BLOCKED: a connection attempt was stopped."
    next_step = "Report the receipt; nothing of this run counts as verified."


class ServerUnreachable(StellaError):
    """A database or object store that the locker is kept in does not answer."""

    exit_code = 60
    sentence = "A server that the locker needs does not answer."
    next_step = "Start it, or wait until it is back, then run the same command again; nothing acknowledged was lost."
