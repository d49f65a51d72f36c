"""Where checks run: processes of this machine, or a Dask cluster that is reached by TLS (docs/locker.md).

No worker gets a signing key: it is sent digests, the place of the objects and the RootPack, and nothing else.
"""

import ctypes
import ipaddress
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from kit.errors import ServerUnreachable, UsageError

MAX_PROCESSES = 256
_PR_SET_PDEATHSIG = 1

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


class ProcessWorkers(Executor):
    """Processes of this machine, begun anew when one of them was killed: a broken pool would never take work again."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = self._begin()

    def submit(
        self, fn: Callable[Parameters, Value], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> "Future[Value]":
        """Give work to a process."""
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenExecutor:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._begin()
            return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def _begin(self) -> ProcessPoolExecutor:
        # Spawned, not forked: the store's client has threads, and a fork would copy their locks but not them.
        return ProcessPoolExecutor(self._count, get_context("spawn"), initializer=_belong_to_parent)


@contextmanager
def workers(asked: str, security: Path | None = None) -> Iterator[Executor]:
    """Open what ``--executor`` names: ``process:N`` or ``dask:tls://HOST:PORT``.

    ``security`` is a directory with ``ca.pem``, ``cert.pem`` and ``key.pem`` for the cluster. Raises
    :class:`UsageError`, :class:`ServerUnreachable`.
    """
    kind, _, rest = asked.partition(":")
    if kind == "process" and rest.isascii() and rest.isdigit() and 0 < int(rest) <= MAX_PROCESSES:
        with ProcessWorkers(int(rest)) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    elif kind == "dask" and rest:
        with _cluster(rest, security) as pool:
            yield pool
    else:
        raise UsageError(option="--executor", expected="process:N or dask:tls://HOST:PORT", found=asked[:80])


def check_scheduler(address: str) -> None:
    """Refuse a scheduler that anybody on the network could give orders to: :class:`UsageError`.

    A Dask port runs whatever it is sent; without TLS it may be a loopback address only.
    """
    expected = "tls://HOST:PORT (tcp:// on a loopback address only)"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise UsageError(option="--executor", expected=expected, found=address[:80]) from fault
    if not host or not port or not (parts.scheme == "tls" or (parts.scheme == "tcp" and _is_loopback(host))):
        raise UsageError(option="--executor", expected=expected, found=address[:80])


@contextmanager
def _cluster(address: str, security: Path | None) -> Iterator[Executor]:
    check_scheduler(address)
    try:
        distributed: Any = import_module("distributed")
    except ModuleNotFoundError as fault:
        raise UsageError(option="--executor", detail="needs the extra locker-dask, which is not installed") from fault
    secure = None
    if address.startswith("tls:"):
        if security is None or not all((security / name).is_file() for name in ("ca.pem", "cert.pem", "key.pem")):
            raise UsageError(option="--executor-tls", expected="a directory with ca.pem, cert.pem and key.pem")
        ca, certificate, key = (str(security / name) for name in ("ca.pem", "cert.pem", "key.pem"))
        secure = distributed.Security(
            tls_ca_file=ca, tls_client_cert=certificate, tls_client_key=key, require_encryption=True
        )
    try:
        client = distributed.Client(address, security=secure, timeout=30, set_as_default=False)
    except (OSError, TimeoutError) as fault:
        raise ServerUnreachable(path="dask", detail=str(fault)[:200]) from fault
    try:
        # Checks of the same object on another night are other work: Dask must not answer from what it remembers.
        yield client.get_executor(pure=False)
    finally:
        client.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _belong_to_parent() -> None:
    """Leave Ctrl-C to the parent, and die with it, however it ends: nobody would ever give such a process work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)
