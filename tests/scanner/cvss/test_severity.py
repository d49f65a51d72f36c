"""Which severity a finding has: the newest CVSS version of each record, the gravest record of all."""

import pytest

from scanner.advisory import Severity
from scanner.candidates import Hit
from scanner.severity import assess

V2 = "AV:N/AC:L/Au:N/C:C/I:C/A:C"
V30 = "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
V31 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"
V31_HIGHER = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:L/A:N"
V4 = "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:P/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N"
V4_UNUSABLE = "CVSS:4.0/AV:L"


def hit(*vectors: tuple[str, str], name: str = "CVE-2024-1", word: str = "") -> Hit:
    return Hit(
        feed="feed",
        id=name,
        digest="sha256:00",
        modified="2024-01-01T00:00:00Z",
        aliases=(),
        upstream=(),
        matched=(),
        fixed=(),
        severity=tuple(Severity(kind, score) for kind, score in vectors),
        severity_word=word,
    )


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ([hit(("CVSS_V2", V2))], ("high", 100, V2)),
        ([hit(("CVSS_V2", V2), ("CVSS_V3", V31))], ("high", 75, V31)),
        ([hit(("CVSS_V3", V30), ("CVSS_V3", V31))], ("high", 75, V31)),
        ([hit(("CVSS_V3", V31), ("CVSS_V3", V31_HIGHER))], ("high", 82, V31_HIGHER)),
        ([hit(("CVSS_V2", V2), ("CVSS_V3", V30), ("CVSS_V4", V4))], ("low", 10, V4)),
        ([hit(("CVSS_V3", V30), ("CVSS_V4", V4_UNUSABLE))], ("critical", 98, V30)),
        ([hit(("CVSS_V4", V4)), hit(("CVSS_V3", V30), name="GHSA-1")], ("critical", 98, V30)),
        ([hit(("CVSS_V4", V4)), hit(word="high", name="GHSA-1")], ("high", None, None)),
        ([hit(("CVSS_V3", V31), word="critical")], ("high", 75, V31)),
        ([hit(("Ubuntu", "high"), word="moderate")], ("medium", None, None)),
    ],
)
def test_the_newest_version_of_a_record_and_the_gravest_record_count(hits, expected):
    found = assess(hits)
    assert (found.level, found.score, found.vector) == expected


@pytest.mark.parametrize(
    ("hits", "reason"),
    [
        ([hit()], "no-severity"),
        ([hit(word="dreadful")], "no-severity"),
        ([hit(("Ubuntu", "high"))], "unscored-vector"),
        ([hit(("CVSS_V4", V4_UNUSABLE))], "unusable-vector"),
        ([hit(("CVSS_V3", V4))], "unusable-vector"),
        ([hit(("CVSS_V2", V31))], "unusable-vector"),
    ],
)
def test_without_a_usable_severity_the_level_is_unknown_with_the_reason(hits, reason):
    found = assess(hits)
    assert (found.level, found.score, found.reason) == ("unknown", None, reason)
