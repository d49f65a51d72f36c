"""The filter as the kernel would run it: a small interpreter of classic BPF judges calls on both processors."""

import re
import struct
from pathlib import Path

import pytest

from verifier.guard_filter import (
    ALLOW,
    KILL_PROCESS,
    NETWORK_CALLS,
    OTHER_CALLS,
    PROCESSORS,
    REFUSE,
    REFUSE_NETWORK,
    build,
)

X86_64, AARCH64, I386, ARM = 0xC000003E, 0xC00000B7, 0x40000003, 0x40000028
HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), r"#define __NR_(\w+) (\d+)"),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), r"#define __NR(?:3264)?_(\w+) (\d+)"),
}


def run(program, arch, number, *arguments):
    """Interpret the program over a ``struct seccomp_data`` and return its verdict."""
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    lines = list(struct.iter_unpack("<HBBI", program))
    accumulator, place = 0, 0
    while True:
        code, then, otherwise, operand = lines[place]
        place += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                place += then if accumulator == operand else otherwise
            case 0x35:
                place += then if accumulator >= operand else otherwise
            case 0x06:
                return operand
            case _:
                pytest.fail(f"instruction {code:#x} is not one that the filter should use")


@pytest.fixture(params=sorted(PROCESSORS))
def machine(request):
    return request.param


def judge(machine, name, *arguments):
    processor = PROCESSORS[machine]
    return run(build(processor), processor.audit_arch, processor.calls[name], *arguments)


@pytest.mark.parametrize("name", NETWORK_CALLS)
def test_every_socket_call_is_refused_as_network(machine, name):
    assert judge(machine, name, 1, 1) == REFUSE_NETWORK


@pytest.mark.parametrize("name", OTHER_CALLS)
def test_every_side_door_is_refused(machine, name):
    assert judge(machine, name) == REFUSE


@pytest.mark.parametrize(
    ("family", "kind", "verdict"),
    [
        (1, 1, ALLOW),
        (1, 5, ALLOW),
        (1, 1 | 0o2000000 | 0o4000, ALLOW),  # SOCK_CLOEXEC, SOCK_NONBLOCK
        (1, 2, REFUSE_NETWORK),  # a datagram pair can be re-addressed
        (1, 3, REFUSE_NETWORK),  # the kernel turns SOCK_RAW into SOCK_DGRAM
        (30, 1, REFUSE_NETWORK),  # AF_TIPC knows socketpair, too
        (1 | 1 << 32, 1, ALLOW),  # the kernel looks at 32 bits only
        (1, 2 | 1 << 32, REFUSE_NETWORK),
    ],
)
def test_socketpair_serves_as_a_pipe_only(machine, family, kind, verdict):
    assert judge(machine, "socketpair", family, kind) == verdict


@pytest.mark.parametrize(("request_code", "verdict"), [(0x5412, REFUSE), (0x541C, REFUSE), (0x5401, ALLOW)])
def test_terminal_input_cannot_be_faked(machine, request_code, verdict):
    assert judge(machine, "ioctl", 0, request_code) == verdict


@pytest.mark.parametrize("name", ["prctl", "unshare", "seccomp", "close_range", "landlock_restrict_self"])
def test_what_the_guard_itself_needs_is_allowed(machine, name):
    assert judge(machine, name) == ALLOW


def test_all_other_calls_are_allowed(machine):
    processor = PROCESSORS[machine]
    program = build(processor)
    named = {processor.calls[name] for name in (*NETWORK_CALLS, *OTHER_CALLS, "socketpair")}
    assert all(run(program, processor.audit_arch, number) == ALLOW for number in range(600) if number not in named)


@pytest.mark.parametrize("arch", [X86_64, AARCH64, I386, ARM])
def test_a_foreign_entry_point_kills(machine, arch):
    processor = PROCESSORS[machine]
    verdict = run(build(processor), arch, 0)
    assert verdict == (ALLOW if arch == processor.audit_arch else KILL_PROCESS)


@pytest.mark.parametrize("number", [0x40000000 + 41, 0x40000000, 0xFFFFFFFF])
def test_x32_numbers_kill(number):
    assert run(build(PROCESSORS["x86_64"]), X86_64, number) == KILL_PROCESS


def test_numbers_are_those_of_the_kernel_headers(machine):
    header, pattern = HEADERS[machine]
    if not header.exists():
        pytest.skip(f"kernel header {header.name} for {machine} is not installed")
    known = {name: int(number) for name, number in re.findall(pattern, header.read_text())}
    ours = PROCESSORS[machine].calls
    assert {name: known[name] for name in ours if name in known} == {name: ours[name] for name in ours if name in known}
    assert "socket" in known
