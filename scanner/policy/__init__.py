"""The policy: what is done about a finding, as ordered rules in TOML (docs/matching.md section 7, docs/policy.md).

A rule has conditions, an action, a reason and, if wanted, an end. The first rule whose conditions all hold decides.
There is no clock here: ends and ages are judged at the scan's frozen time. There are no regular expressions, and the
comparisons of an evaluation are counted, so that no policy can take long.
"""

from scanner.policy.compiled import ACTIONS, Decision, Downgrade, Policy, worst
from scanner.policy.conditions import Facts
from scanner.policy.document import PolicyDocument
from scanner.policy.reading import MAX_BYTES, PATH, load

__all__ = [
    "ACTIONS",
    "MAX_BYTES",
    "PATH",
    "Decision",
    "Downgrade",
    "Facts",
    "Policy",
    "PolicyDocument",
    "load",
    "worst",
]
