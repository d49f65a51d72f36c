"""The system-call filter of the network guard: classic BPF for seccomp(2), on x86_64 and aarch64.

The filter lets everything through but the ways to a network, those that do not look like one included:

* sockets: socket(2) in every family, and what would turn an inherited socket elsewhere. socketpair(2) stays for stream
  and sequenced-packet pairs of AF_UNIX, since programs use them as pipes; a datagram pair could be re-addressed to any
  daemon that listens on a path.
* a second door to the same calls: io_uring, the 32-bit and x32 entry points (the process is killed).
* borrowing the reach of another process: ptrace, process_vm_*, pidfd_getfd, setns, bpf; the two terminal ioctls that
  type into the operator's shell.
* asking the kernel to talk by itself: mounting a network file system, key look-ups that start a DNS helper.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
REFUSE_NETWORK = _ERRNO | 13  # EACCES: what the kernel says where a policy forbids a socket
REFUSE = _ERRNO | 1  # EPERM

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_MASK = 0x54  # BPF_ALU | BPF_AND | BPF_K
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_NEXT = ""

# struct seccomp_data, little-endian on both processors: the low half of argument n stands at 16 + 8n.
_NUMBER, _PROCESSOR, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24

_AF_UNIX, _SOCK_STREAM, _SOCK_SEQPACKET, _SOCK_TYPE_MASK = 1, 1, 5, 0xF
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_X32_BIT = 0x40000000

# Since Linux 5.1 every processor numbers new calls alike.
_SAME_EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "fsopen": 430,
    "close_range": 436,
    "pidfd_getfd": 438,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}


class Processor(NamedTuple):
    """One processor family: its audit identity and the numbers of the system calls that the guard knows."""

    audit_arch: int
    calls: dict[str, int]
    x32: bool


PROCESSORS = {
    "x86_64": Processor(
        audit_arch=0xC000003E,
        calls=_SAME_EVERYWHERE
        | {
            "ioctl": 16,
            "socket": 41,
            "connect": 42,
            "accept": 43,
            "bind": 49,
            "listen": 50,
            "socketpair": 53,
            "ptrace": 101,
            "prctl": 157,
            "mount": 165,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "unshare": 272,
            "accept4": 288,
            "setns": 308,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "seccomp": 317,
            "bpf": 321,
        },
        x32=True,
    ),
    "aarch64": Processor(
        audit_arch=0xC00000B7,
        calls=_SAME_EVERYWHERE
        | {
            "ioctl": 29,
            "mount": 40,
            "unshare": 97,
            "ptrace": 117,
            "prctl": 167,
            "socket": 198,
            "socketpair": 199,
            "bind": 200,
            "listen": 201,
            "accept": 202,
            "connect": 203,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "accept4": 242,
            "setns": 268,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "seccomp": 277,
            "bpf": 280,
        },
        x32=False,
    ),
}

NETWORK_CALLS = ("accept", "accept4", "bind", "connect", "listen", "socket")
OTHER_CALLS = (
    "add_key",
    "bpf",
    "fsopen",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "keyctl",
    "mount",
    "pidfd_getfd",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "request_key",
    "setns",
)


class _Line(NamedTuple):
    """One instruction; ``then`` and ``otherwise`` name the label that a test goes to."""

    code: int
    operand: int
    then: str = _NEXT
    otherwise: str = _NEXT
    label: str = _NEXT


_VERDICTS = (
    _Line(_RETURN, KILL_PROCESS, label="kill"),
    _Line(_RETURN, REFUSE_NETWORK, label="refuse network"),
    _Line(_RETURN, REFUSE, label="refuse"),
    _Line(_RETURN, ALLOW, label="allow"),
)


def build(processor: Processor) -> bytes:
    """Return the filter for a processor, as an array of ``struct sock_filter``."""
    calls = processor.calls
    return _assemble(
        [
            _Line(_LOAD, _PROCESSOR),
            _Line(_IF_EQUAL, processor.audit_arch, otherwise="kill"),
            _Line(_LOAD, _NUMBER),
            *([_Line(_IF_AT_LEAST, _X32_BIT, then="kill")] if processor.x32 else []),
            *(_Line(_IF_EQUAL, calls[name], then="refuse network") for name in NETWORK_CALLS),
            *(_Line(_IF_EQUAL, calls[name], then="refuse") for name in OTHER_CALLS),
            _Line(_IF_EQUAL, calls["ioctl"], then="ioctl"),
            _Line(_IF_EQUAL, calls["socketpair"], otherwise="allow"),
            _Line(_LOAD, _ARGUMENT_0),
            _Line(_IF_EQUAL, _AF_UNIX, otherwise="refuse network"),
            _Line(_LOAD, _ARGUMENT_1),
            _Line(_MASK, _SOCK_TYPE_MASK),
            _Line(_IF_EQUAL, _SOCK_STREAM, then="allow"),
            _Line(_IF_EQUAL, _SOCK_SEQPACKET, then="allow", otherwise="refuse network"),
            _Line(_LOAD, _ARGUMENT_1, label="ioctl"),
            _Line(_IF_EQUAL, _TIOCSTI, then="refuse"),
            _Line(_IF_EQUAL, _TIOCLINUX, then="refuse", otherwise="allow"),
            *_VERDICTS,
        ]
    )


def _assemble(lines: Sequence[_Line]) -> bytes:
    """Resolve labels to the forward distances that the kernel wants, and pack."""
    place = {line.label: number for number, line in enumerate(lines) if line.label}

    def distance(here: int, label: str) -> int:
        return place[label] - here - 1 if label else 0

    return b"".join(
        struct.pack("<HBBI", line.code, distance(here, line.then), distance(here, line.otherwise), line.operand)
        for here, line in enumerate(lines)
    )
