"""The network guard: what the appliance does to itself before it reads the first input byte (docs/threat-model.md).

Five layers, in this order; children inherit all of them. Only the first and the last are demanded, since every kernel
that we support has them; the others hold where the kernel allows it, and the report says which did and why not.

1. no new privileges: no set-uid program gives anything back.
2. descriptors: whatever the caller left open above 2 is closed; a socket at 0, 1 or 2 is reported.
3. network namespace: an empty one of our own, with a user namespace where we are not root.
4. landlock: writes only below the given directories; no TCP, no abstract socket, no signal to a process outside.
5. seccomp: no socket in any family, nor any other way to one (``guard_filter``).

At the end the guard tries its own door, and refuses to go on if it opens.
"""

import errno
import os
import stat
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from kit.errors import GuardNotInForce, NotWritable
from verifier import guard_filter
from verifier.guard_kernel import Kernel

_PR_GET_SECCOMP, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS = 21, 22, 38, 39
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, _SECCOMP_MODE_FILTER = 1, 1, 2
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_LANDLOCK_CREATE_RULESET_VERSION, _LANDLOCK_RULE_PATH_BENEATH = 1, 1

# Landlock access bits (linux/landlock.h): what writes, by the ABI version that brought the bit.
_WRITE_FILE, _REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 1, 1 << 13, 1 << 14, 1 << 15
_REMOVE_AND_MAKE = 0b1_1111_1111 << 4  # REMOVE_DIR, REMOVE_FILE, MAKE_CHAR … MAKE_SYM
_WRITES_SINCE = ((1, _WRITE_FILE | _REMOVE_AND_MAKE), (2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE))
_ON_A_FILE = _WRITE_FILE | _TRUNCATE | _IOCTL_DEVICE
_BIND_AND_CONNECT_TCP, _ABI_WITH_NETWORK = 0b11, 4
_ABSTRACT_SOCKET_AND_SIGNAL, _ABI_WITH_SCOPES = 0b11, 6

FILTER = "seccomp"
"""The layer without which nothing is read, unless the operator says so."""

_DOORS = (
    ("socket", (2, 1, 0), errno.EACCES),  # AF_INET, SOCK_STREAM
    ("socket", (1, 1, 0), errno.EACCES),  # AF_UNIX, SOCK_STREAM
    ("io_uring_setup", (0, 0), errno.EPERM),
)


LAYERS = ("no-new-privileges", "descriptors", "network-namespace", "landlock", "seccomp")
"""The names of all layers, in the order in which they are put in force."""


class Layer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One layer of the guard: whether it holds, and how we know, or why it does not."""

    name: str
    in_force: bool
    evidence: str


class GuardReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What the guard put in force; holds no name, path or number of the host."""

    layers: tuple[Layer, ...]
    probe: str

    def holds(self, name: str) -> bool:
        """Tell whether the named layer is in force."""
        return any(layer.in_force for layer in self.layers if layer.name == name)


def enforce(writable: Sequence[Path], *, kernel: Kernel | None = None, demanded: bool = True) -> GuardReport:
    """Put this process and all its children behind the guard; there is no way back.

    ``writable`` are existing directories (or files) below which writing stays possible. To be called before any file is
    opened and any thread is started. Raises GuardNotInForce where the demanded layers cannot be had, NotWritable for a
    place that is not there. Unless ``demanded``, the operator has said to go on without the system-call filter.
    """
    kernel = kernel or Kernel()
    alone = _is_single_threaded()
    layers = (
        _forbid_new_privileges(kernel),
        _close_descriptors(kernel),
        _leave_network(kernel) if alone else _unsafe("network-namespace"),
        _restrict_writes(kernel, writable) if alone else _unsafe("landlock"),
        _filter_calls(kernel, alone=alone) if demanded else _filter_if_possible(kernel, alone=alone),
    )
    report = GuardReport(layers=layers, probe="not tried: there is no filter")
    return msgspec.structs.replace(report, probe=_try_the_doors(kernel)) if report.holds(FILTER) else report


def _forbid_new_privileges(kernel: Kernel) -> Layer:
    try:
        kernel.call("prctl", _PR_SET_NO_NEW_PRIVS, 1)
        held = kernel.call("prctl", _PR_GET_NO_NEW_PRIVS)
    except OSError as error:
        raise GuardNotInForce(detail=f"no new privileges: {_name(error)}") from error
    if held != 1:
        raise GuardNotInForce(detail="no new privileges: not held")
    return Layer(name="no-new-privileges", in_force=True, evidence=f"NoNewPrivs {held}")


def _close_descriptors(kernel: Kernel) -> Layer:
    try:
        kernel.call("close_range", 3, 2**32 - 1)
    except OSError:  # before Linux 5.9
        _close_one_by_one()
    sockets = [str(number) for number in (0, 1, 2) if _is_socket(number)]
    evidence = "none above 2" + "".join(f"; {number} is a socket" for number in sockets)
    return Layer(name="descriptors", in_force=not sockets, evidence=evidence)


def _close_one_by_one() -> None:
    try:
        numbers: Iterable[int] = sorted(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208  # numbers are all we need
    except OSError:
        numbers = range(os.sysconf("SC_OPEN_MAX"))
    for number in numbers:
        if number > 2:
            with suppress(OSError):
                os.close(number)


def _leave_network(kernel: Kernel) -> Layer:
    user, group = os.geteuid(), os.getegid()
    identity = ""
    try:
        try:
            kernel.call("unshare", _CLONE_NEWNET)
        except OSError:
            # In a user namespace of one identity, root would lose its reach over other users' files.
            if user == 0:
                raise
            kernel.call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)
            identity = _keep_identity(user, group)
    except OSError as error:
        return Layer(name="network-namespace", in_force=False, evidence=f"refused: {_name(error)}")
    return Layer(name="network-namespace", in_force=True, evidence=f"interfaces: {_interfaces()}{identity}")


def _keep_identity(user: int, group: int) -> str:
    """Map our own user and group onto themselves, so that the new user namespace changes nobody's name."""
    try:
        for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path("/proc/self", name).write_bytes(line.encode())
    except OSError as error:
        return f"; identity not mapped: {_name(error)}"
    return "; identity mapped"


def _restrict_writes(kernel: Kernel, writable: Sequence[Path]) -> Layer:
    try:
        abi = kernel.call("landlock_create_ruleset", 0, 0, _LANDLOCK_CREATE_RULESET_VERSION)
        writes = sum(bits for since, bits in _WRITES_SINCE if abi >= since)
        network = _BIND_AND_CONNECT_TCP if abi >= _ABI_WITH_NETWORK else 0
        scopes = _ABSTRACT_SOCKET_AND_SIGNAL if abi >= _ABI_WITH_SCOPES else 0
        attributes = struct.pack("=QQQ", writes, network, scopes)
        rules = kernel.call("landlock_create_ruleset", attributes, len(attributes), 0)
        try:
            null = Path(os.devnull)
            for place in (*writable, null) if null.exists() else writable:  # an empty root may have no devices
                _allow_writes(kernel, rules, place, writes)
            kernel.call("landlock_restrict_self", rules, 0)
        finally:
            os.close(rules)
    except OSError as error:
        return Layer(name="landlock", in_force=False, evidence=f"refused: {_name(error)}")
    return Layer(name="landlock", in_force=True, evidence=f"ABI {abi}; writable places: {len(writable)}")


def _allow_writes(kernel: Kernel, rules: int, place: Path, writes: int) -> None:
    try:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise NotWritable(path=place.name or str(place), detail=_name(error)) from error
    try:
        allowed = writes if stat.S_ISDIR(os.fstat(descriptor).st_mode) else writes & _ON_A_FILE
        rule = struct.pack("=Qi", allowed, descriptor)
        kernel.call("landlock_add_rule", rules, _LANDLOCK_RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


def _filter_calls(kernel: Kernel, *, alone: bool) -> Layer:
    program = guard_filter.build(kernel.processor)
    try:
        try:
            stubborn_thread = kernel.call_with_filter(
                "seccomp", _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, program=program
            )
        except OSError as error:
            # Before Linux 3.17 there is no seccomp(2), and no way to reach a second thread.
            if error.errno not in (errno.ENOSYS, errno.EINVAL) or not alone:
                raise
            stubborn_thread = kernel.call_with_filter("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program=program)
        mode = kernel.call("prctl", _PR_GET_SECCOMP)
    except OSError as error:
        raise GuardNotInForce(detail=f"seccomp: {_name(error)}") from error
    if stubborn_thread or mode != _SECCOMP_MODE_FILTER:
        raise GuardNotInForce(detail=f"seccomp: mode {mode}, or a thread outside the filter")
    filters = _status("Seccomp_filters") or "not counted"
    return Layer(name=FILTER, in_force=True, evidence=f"Seccomp {mode}; filters {filters}")


def _filter_if_possible(kernel: Kernel, *, alone: bool) -> Layer:
    try:
        return _filter_calls(kernel, alone=alone)
    except GuardNotInForce as error:
        return Layer(name=FILTER, in_force=False, evidence=f"refused: {error.details['detail']}")


def _try_the_doors(kernel: Kernel) -> str:
    for name, arguments, refusal in _DOORS:
        try:
            kernel.call(name, *arguments)
        except OSError as error:
            if error.errno == refusal:
                continue
        raise GuardNotInForce(detail=f"{name}(2) was not refused")
    return "socket(2) refused"


def _unsafe(name: str) -> Layer:
    return Layer(name=name, in_force=False, evidence="not tried: the process has several threads")


def _is_single_threaded() -> bool:
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208  # names are enough, and cheaper
    except OSError:
        import threading

        return threading.active_count() == 1


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _interfaces() -> str:
    try:
        lines = Path("/proc/self/net/dev").read_bytes().decode().splitlines()[2:]
    except OSError:
        return "unknown, /proc is not mounted"
    return " ".join(sorted(line.partition(":")[0].strip() for line in lines))


def _status(field: str) -> str:
    """Return one field of our line in the kernel's process table, or nothing where the kernel is too old."""
    try:
        lines = Path("/proc/self/status").read_bytes().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:")), "")


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "unknown error")
