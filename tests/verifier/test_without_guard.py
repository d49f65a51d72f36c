"""Going on without the filter of system calls: only where the operator says so and why, and told in the result."""

import errno

import pytest

from kit.errors import GuardNotInForce, UsageError
from verifier import asked, guard


class NoFilter:
    """A kernel that takes no filter, as an emulated one."""

    processor = None


@pytest.fixture
def emulated(monkeypatch):
    def refuse(kernel, *, alone):
        raise GuardNotInForce(detail="seccomp: EINVAL")

    monkeypatch.setattr(guard, "_filter_calls", refuse)
    for name in ("_forbid_new_privileges", "_close_descriptors", "_leave_network"):
        layer = guard.Layer(name=name, in_force=True, evidence="")
        monkeypatch.setattr(guard, name, lambda _, layer=layer: layer)
    monkeypatch.setattr(guard, "_restrict_writes", lambda *_: guard.Layer(name="landlock", in_force=False, evidence=""))


def test_without_a_filter_nothing_goes_on(emulated) -> None:
    with pytest.raises(GuardNotInForce):
        guard.enforce([], kernel=NoFilter())


def test_what_is_overruled_is_reported_as_missing(emulated) -> None:
    report = guard.enforce([], kernel=NoFilter(), demanded=False)
    (layer,) = [one for one in report.layers if one.name == guard.FILTER]
    assert (layer.in_force, layer.evidence) == (False, "refused: seccomp: EINVAL")
    assert report.probe == "not tried: there is no filter"
    assert errno.errorcode[errno.EINVAL] in layer.evidence


@pytest.mark.parametrize("said", ["", "  ", "x" * 501])
def test_a_reason_is_asked_for(said: str) -> None:
    with pytest.raises(UsageError):
        asked.reason(said, "--without-guard")
