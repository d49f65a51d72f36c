"""The network guard on this kernel: each attempt runs in a process of its own, since a guard cannot be taken off."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PREAMBLE = """
import ctypes, errno, json, os, subprocess, sys
from pathlib import Path
import msgspec
from kit.errors import StellaError
from verifier import guard
from verifier.guard_kernel import Kernel

place = Path(sys.argv[1])

def show(report):
    print(msgspec.json.encode(report).decode())

class Refusing(Kernel):
    '''A kernel that refuses some calls with a given error.'''
    def __init__(self, **refusals):
        super().__init__()
        self.refusals = refusals
    def call(self, name, *arguments):
        if name in self.refusals:
            raise OSError(self.refusals[name], "refused by the test")
        return super().call(name, *arguments)
"""

ATTEMPT_IN_PYTHON = """
import ctypes, os, socket, sys
kind, address = sys.argv[1], sys.argv[2]
try:
    if kind == "tcp":
        socket.create_connection(("127.0.0.1", int(address)), 2)
    elif kind == "udp":
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(address)))
    elif kind == "path":
        socket.socket(socket.AF_UNIX).connect(address)
    elif kind == "abstract":
        socket.socket(socket.AF_UNIX).connect("\\0" + address)
    elif kind == "datagram pair":
        socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", address)
    elif kind == "netlink":
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
    elif kind == "io_uring":
        if ctypes.CDLL(None, use_errno=True).syscall(425, 1, ctypes.create_string_buffer(120)) < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
except PermissionError as error:
    print("refused", error.errno)
else:
    print("open")
"""

ATTEMPT_IN_C = r"""
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const char *kind = argv[1], *address = argv[2];
    int result = -1;
    if (!strcmp(kind, "io_uring")) {
        char parameters[120] = {0};
        result = (int)syscall(425, 1, parameters);
    } else if (!strcmp(kind, "tcp") || !strcmp(kind, "udp")) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(address))};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int s = socket(AF_INET, kind[0] == 't' ? SOCK_STREAM : SOCK_DGRAM, 0);
        result = s < 0 ? s : connect(s, (struct sockaddr *)&to, sizeof to);
    } else if (!strcmp(kind, "netlink")) {
        result = socket(AF_NETLINK, SOCK_RAW, 0);
    } else if (!strcmp(kind, "datagram pair")) {
        int pair[2];
        result = socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    } else {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        int abstract = !strcmp(kind, "abstract");
        strncpy(to.sun_path + abstract, address, sizeof to.sun_path - 2);
        int s = socket(AF_UNIX, SOCK_STREAM, 0);
        result = s < 0 ? s : connect(s, (struct sockaddr *)&to,
                                     sizeof to.sun_family + abstract + strlen(address));
    }
    if (result < 0) printf("refused %d\n", errno); else printf("open\n");
    return 0;
}
"""

KINDS = ("tcp", "udp", "path", "abstract", "datagram pair", "netlink", "io_uring")


@pytest.fixture
def python():
    """Return a function that runs code in a new Python process, with the preamble before it."""

    def run(code, *arguments, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            [sys.executable, "-c", PREAMBLE + code, *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def c_program(tmp_path_factory):
    """Return a function that compiles a C program once and gives its path."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")

    def build(name, source):
        target = tmp_path_factory.mktemp("c") / name
        subprocess.run([compiler, "-w", "-o", target, "-x", "c", "-"], input=source, text=True, check=True)
        return target

    return build


@pytest.fixture
def listeners(tmp_path):
    """Listen on every kind of address, so that a refusal cannot be mistaken for nobody at home."""
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    path, abstract = (socket.socket(socket.AF_UNIX) for _ in range(2))
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = f"stella-test-{os.getpid()}-{tcp.getsockname()[1]}"
    path.bind(str(tmp_path / "s"))
    datagram.bind(str(tmp_path / "d"))
    abstract.bind("\0" + name)
    path.listen()
    abstract.listen()
    yield {
        "tcp": str(tcp.getsockname()[1]),
        "udp": str(udp.getsockname()[1]),
        "path": str(tmp_path / "s"),
        "abstract": name,
        "datagram pair": str(tmp_path / "d"),
        "netlink": "",
        "io_uring": "",
    }
    for each in (tcp, udp, path, abstract, datagram):
        each.close()


def layers(done):
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[0])
    return {layer["name"]: (layer["inForce"], layer["evidence"]) for layer in report["layers"]}


# the doors


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "io_uring"])
def test_without_the_guard_the_attempt_succeeds(listeners, kind):
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPT_IN_PYTHON, kind, listeners[kind]], capture_output=True, text=True, check=True
    )
    assert done.stdout == "open\n"


@pytest.mark.parametrize("kind", KINDS)
def test_the_process_itself_gets_no_connection(python, tmp_path, listeners, kind):
    code = f"guard.enforce([place]); sys.argv[1:] = {[kind, listeners[kind]]!r}\n{ATTEMPT_IN_PYTHON}"
    done = python(code, tmp_path)
    assert done.stdout == ("refused 1\n" if kind == "io_uring" else "refused 13\n"), done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_python_child_gets_no_connection(python, tmp_path, listeners, kind):
    code = (
        "guard.enforce([place])\n"
        f"subprocess.run([sys.executable, '-c', {ATTEMPT_IN_PYTHON!r}, *{[kind, listeners[kind]]!r}], check=True)"
    )
    done = python(code, tmp_path)
    assert done.stdout == ("refused 1\n" if kind == "io_uring" else "refused 13\n"), done.stderr


def test_a_c_child_gets_no_connection(python, tmp_path, listeners, c_program):
    program = str(c_program("attempt", ATTEMPT_IN_C))
    attempts = [[program, kind, listeners[kind]] for kind in KINDS]
    done = python(f"guard.enforce([place])\nfor attempt in {attempts!r}: subprocess.run(attempt, check=True)", tmp_path)
    assert done.stdout.splitlines() == ["refused 13"] * 6 + ["refused 1"], done.stderr


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="32-bit entry points are those of x86_64")
@pytest.mark.parametrize(
    "call",
    [
        pytest.param('__asm__ volatile("int $0x80" : : "a"(20) : "memory");', id="32-bit"),
        pytest.param("syscall(0x40000000 + 39);", id="x32"),
    ],
)
def test_a_foreign_entry_point_kills_the_child(python, tmp_path, c_program, call):
    source = f'#include <stdio.h>\n#include <unistd.h>\nint main(void) {{ {call} puts("alive"); return 0; }}'
    program = str(c_program("foreign", source))
    done = python(f"guard.enforce([place])\nprint(subprocess.run([{program!r}]).returncode)", tmp_path)
    assert done.stdout in ("-31\n", "-11\n"), done.stderr  # SIGSYS; SIGSEGV on kernels without 32-bit entry


def test_no_socket_call_succeeds_under_a_tracer(tmp_path, listeners):
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "trace"
    child = f"subprocess.run([sys.executable, '-c', {ATTEMPT_IN_PYTHON!r}, *sys.argv[1:]], check=True)"
    arm = f"guard.enforce([place]); sys.argv[1:] = {['tcp', listeners['tcp']]!r}"
    code = f"{PREAMBLE}\n{arm}\n{child}\n{ATTEMPT_IN_PYTHON}"
    command = [strace, "-f", "-qq", "-e", "trace=%network,seccomp", "-o", log, sys.executable, "-c", code, tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if "PTRACE" in done.stderr:
        pytest.skip("this machine forbids tracing")
    assert done.stdout == "refused 13\n" * 2, done.stderr
    calls = [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()]
    armed = next(place for place, call in enumerate(calls) if call.startswith("seccomp(") and call.endswith("= 0"))
    attempts = [call for call in calls[armed + 1 :] if call.startswith(("socket", "connect"))]
    assert len(attempts) >= 4  # two of the guard's own, one of each process
    assert all("= -1 EACCES" in call for call in attempts)


# what stays possible


def test_pipes_children_and_stream_pairs_still_work(python, tmp_path):
    code = """
import asyncio, socket
guard.enforce([place])
left, right = socket.socketpair()
left.send(b"x")
async def child():
    process = await asyncio.create_subprocess_exec("/bin/echo", "hello", stdout=subprocess.PIPE)
    return (await process.communicate())[0]
print(right.recv(1), asyncio.run(child()))
"""
    assert python(code, tmp_path).stdout == "b'x' b'hello\\n'\n"


def test_writing_is_possible_only_below_the_given_places(python, tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "old").write_text("kept")
    code = """
guard.enforce([place])
outside = Path(sys.argv[2])
(place / "sub").mkdir()
(place / "sub" / "new").write_text("x")
(place / "sub" / "new").rename(place / "moved")
Path("/dev/null").write_text("x")
for attempt in (
    lambda: (outside / "new").write_text("x"),
    lambda: (outside / "old").write_text("x"),
    lambda: (outside / "old").unlink(),
    lambda: os.truncate(outside / "old", 0),
    lambda: (outside / "sub").mkdir(),
    lambda: (place / "moved").rename(outside / "moved"),
    lambda: os.mkfifo(outside / "fifo"),
    lambda: (outside / "link").symlink_to("old"),
):
    try:
        attempt()
    except OSError as error:
        print(errno.errorcode[error.errno])
print((outside / "old").read_text())
"""
    done = python(code, inside, outside)
    assert set(done.stdout.split()[:-1]) <= {"EACCES", "EXDEV"}, done.stdout
    assert len(done.stdout.split()) == 9, done.stderr
    assert done.stdout.split()[-1] == "kept"
    assert sorted(path.name for path in outside.iterdir()) == ["old"]
    assert (inside / "moved").read_text() == "x"


def test_a_single_file_may_be_the_writable_place(python, tmp_path):
    target = tmp_path / "out.json"
    target.touch()
    code = """
guard.enforce([place])
place.write_text("written")
try:
    place.with_name("other").write_text("x")
except PermissionError:
    print("refused")
"""
    assert python(code, target).stdout == "refused\n"
    assert target.read_text() == "written"


def test_inherited_descriptors_are_closed(python, tmp_path, listeners):
    with socket.create_connection(("127.0.0.1", int(listeners["tcp"]))) as inherited:
        number = inherited.fileno()
        code = f"show(guard.enforce([place]))\ntry: os.fstat({number})\nexcept OSError as error: print(error.errno)"
        done = python(code, tmp_path, pass_fds=[number])
    assert layers(done)["descriptors"] == (True, "none above 2")
    assert done.stdout.splitlines()[1] == "9"  # EBADF


def test_inherited_descriptors_are_closed_on_an_old_kernel(python, tmp_path, listeners):
    with socket.create_connection(("127.0.0.1", int(listeners["tcp"]))) as inherited:
        number = inherited.fileno()
        code = (
            "show(guard.enforce([place], kernel=Refusing(close_range=errno.ENOSYS)))\n"
            f"try: os.fstat({number})\nexcept OSError as error: print(error.errno)"
        )
        done = python(code, tmp_path, pass_fds=[number])
    assert done.stdout.splitlines()[1] == "9", done.stderr


def test_a_socket_as_standard_input_is_reported(python, tmp_path):
    left, right = socket.socketpair()
    with left, right:
        done = python("show(guard.enforce([place]))", tmp_path, stdin=left)
    assert layers(done)["descriptors"] == (False, "none above 2; 0 is a socket")


# the report


def test_the_report_names_the_layers_and_the_probe(python, tmp_path):
    done = python("show(guard.enforce([place]))\nprint(Path('/proc/self/status').read_text())", tmp_path)
    found = layers(done)
    assert list(found) == ["no-new-privileges", "descriptors", "network-namespace", "landlock", "seccomp"]
    assert found["no-new-privileges"] == (True, "NoNewPrivs 1")
    assert found["seccomp"][0]
    assert found["seccomp"][1].startswith("Seccomp 2; filters ")
    assert json.loads(done.stdout.splitlines()[0])["probe"] == "socket(2) refused"
    status = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_an_ordinary_user_gets_all_layers_under_the_own_name(python, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    tmp_path.chmod(0o777)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(0o755)
    code = """
os.setgroups([]); os.setgid(65534); os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # a real login is dumpable, one who changed identity is not
show(guard.enforce([place]))
print(os.getuid(), os.getgid())
(place / "mine").write_text("x")
"""
    done = python(code, tmp_path)
    found = layers(done)
    assert done.stdout.splitlines()[1] == "65534 65534"
    assert (tmp_path / "mine").stat().st_uid == 65534
    assert found["seccomp"][0]
    if found["network-namespace"][0]:
        assert found["network-namespace"][1].endswith("; identity mapped")


# degraded kernels


def test_an_old_kernel_keeps_the_demanded_layers(python, tmp_path):
    code = """
kernel = Refusing(landlock_create_ruleset=errno.ENOSYS, unshare=errno.EPERM)
show(guard.enforce([place], kernel=kernel))
"""
    found = layers(python(code, tmp_path))
    assert found["network-namespace"] == (False, "refused: EPERM")
    assert found["landlock"] == (False, "refused: ENOSYS")
    assert found["seccomp"][0]
    assert found["no-new-privileges"][0]


@pytest.mark.parametrize("abi", [1, 2, 3, 4, 5, 6])
def test_every_landlock_version_is_used_as_far_as_it_goes(python, tmp_path, abi):
    code = f"""
class Older(Kernel):
    def call(self, name, *arguments):
        result = super().call(name, *arguments)
        return min(result, {abi}) if name == "landlock_create_ruleset" and not arguments[0] else result
show(guard.enforce([place], kernel=Older()))
(place / "inside").write_text("x")
try:
    Path("outside").write_text("x")
except PermissionError:
    print("refused")
"""
    done = python(code, tmp_path)
    held, evidence = layers(done)["landlock"]
    if not held:
        pytest.skip(f"landlock: {evidence}")
    assert evidence == f"ABI {min(abi, int(evidence.split()[1].rstrip(';')))}; writable places: 1"
    assert done.stdout.splitlines()[1] == "refused"


def test_a_kernel_without_the_seccomp_call_is_armed_by_prctl(python, tmp_path):
    done = python("show(guard.enforce([place], kernel=Refusing(seccomp=errno.ENOSYS)))", tmp_path)
    assert layers(done)["seccomp"][0]


@pytest.mark.parametrize(
    ("kernel", "detail"),
    [
        ("Refusing(seccomp=errno.EPERM)", "seccomp: EPERM"),
        ("Refusing(prctl=errno.EINVAL)", "no new privileges: EINVAL"),
    ],
)
def test_without_the_demanded_layers_the_run_is_refused(python, tmp_path, kernel, detail):
    code = f"""
try:
    guard.enforce([place], kernel={kernel})
except StellaError as error:
    print(error.reason, error.exit_code, error.details["detail"])
"""
    assert python(code, tmp_path).stdout == f"GuardNotInForce 61 {detail}\n"


def test_a_filter_that_filters_nothing_is_noticed(python, tmp_path):
    code = """
guard.guard_filter.build = lambda processor: (6).to_bytes(4, "little") + (0x7FFF0000).to_bytes(4, "little")
try:
    guard.enforce([place])
except StellaError as error:
    print(error.reason, error.details["detail"])
"""
    assert python(code, tmp_path).stdout == "GuardNotInForce socket(2) was not refused\n"


def test_an_unknown_processor_is_refused(python, tmp_path):
    code = """
class Uname:
    machine = "riscv64"
os.uname = Uname
try:
    guard.enforce([place])
except StellaError as error:
    print(error.reason)
"""
    assert python(code, tmp_path).stdout == "GuardNotInForce\n"


def test_other_threads_are_covered_by_the_filter_and_by_no_layer_that_would_miss_them(python, tmp_path):
    code = """
import socket, threading
start, done = threading.Event(), []
def work():
    start.wait()
    try:
        socket.socket()
    except PermissionError:
        done.append("refused in the other thread")
thread = threading.Thread(target=work)
thread.start()
show(guard.enforce([place]))
start.set()
thread.join()
print(*done)
"""
    done = python(code, tmp_path)
    found = layers(done)
    assert found["landlock"] == found["network-namespace"] == (False, "not tried: the process has several threads")
    assert done.stdout.splitlines()[1] == "refused in the other thread"


def test_a_writable_place_that_is_not_there_is_refused(python, tmp_path):
    code = """
try:
    guard.enforce([place])
except StellaError as error:
    print(error.reason, error.details)
"""
    done = python(code, tmp_path / "absent")
    assert done.stdout == "NotWritable {'path': 'absent', 'detail': 'ENOENT'}\n", done.stderr
