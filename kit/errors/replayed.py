"""Exit codes 10, 12: the replay."""

from kit.errors.base import StellaError


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
