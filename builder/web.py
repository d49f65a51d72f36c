"""HTTP as logs and witnesses are asked by: bounded answers and waiting, retries, and no redirect followed.

Nothing that is answered is believed here. The client library is imported when the first request is made; proxies and
certificates are those of the environment, as everywhere.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from kit.errors import LedgerRefused, LedgerUnreachable, LimitExceeded, UsageError

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

CONNECT_SECONDS = 10
READ_SECONDS = 60
"""How long a service may be silent; Rekor v2 answers only when a checkpoint covers the entry."""
WHOLE_SECONDS = 180
PAUSES = (1, 3, 9)
"""Seconds before each further attempt; their number is that of the retries."""
MAX_ANSWER = 1 << 20

_CHUNK = 64 << 10
_TOO_MANY = 429
_SERVER_ERROR = 500
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered; names of ``headers`` are found in any case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Client:
    """A service at a URL prefix. ``pause`` waits a number of seconds."""

    def __init__(self, prefix: str, *, option: str, pause: Callable[[float], None] = time.sleep) -> None:
        self.prefix = _checked(prefix, option)
        self.host = urlsplit(prefix).hostname or ""
        self.pause = pause

    def get(self, path: str, *, limit: int = MAX_ANSWER) -> Answer:
        """Return the answer to a GET below the prefix; raises what :meth:`post` raises."""
        return self._ask("GET", path, None, "", limit)

    def post(self, path: str, body: bytes, *, kind: str, limit: int = MAX_ANSWER) -> Answer:
        """Return the answer to a POST of a body of a media type.

        Attempts that got no whole answer, or a server's error, are repeated: what is posted here may be posted twice.
        Raises :class:`LedgerUnreachable` after the last of them, :class:`LimitExceeded` for an answer that is too
        large, :class:`LedgerRefused` for a redirect.
        """
        return self._ask("POST", path, body, kind, limit)

    def _ask(self, method: str, path: str, body: bytes | None, kind: str, limit: int) -> Answer:
        for wait in PAUSES:
            with suppress(LedgerUnreachable):
                return self._in_time(method, path, body, kind, limit)
            self.pause(wait)
        return self._in_time(method, path, body, kind, limit)

    def _in_time(self, method: str, path: str, body: bytes | None, kind: str, limit: int) -> Answer:
        try:
            return within(WHOLE_SECONDS, lambda: self._attempt(method, path, body, kind, limit))
        except TimeoutError as fault:
            detail = f"no whole answer in {WHOLE_SECONDS} seconds"
            raise LedgerUnreachable(path=self.prefix, detail=detail) from fault

    def _attempt(self, method: str, path: str, body: bytes | None, kind: str, limit: int) -> Answer:
        import requests

        # Compressed answers could be far larger than what is read of them.
        headers = {"Accept-Encoding": "identity"} | ({"Content-Type": kind} if kind else {})
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        with (
            _failures(self.prefix),
            requests.Session() as session,
            session.request(
                method,
                self.prefix + path,
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            if response.status_code in _REDIRECTS:
                place = response.headers.get("Location", "")
                raise LedgerRefused(
                    path=self.prefix, detail="a redirect is not followed", found=shown(place.encode())
                ).then("If you trust the place that it names, give that address.")
            answer = Answer(response.status_code, self._body(response, limit), response.headers)
        if answer.status == _TOO_MANY or answer.status >= _SERVER_ERROR:
            raise LedgerUnreachable(path=self.prefix, status=answer.status, found=shown(answer.body))
        return answer

    def _body(self, response: "requests.Response", limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := response.raw.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise LimitExceeded(path=self.prefix, detail="the answer is too large", expected=limit)
        declared = response.headers.get("Content-Length", str(size))
        if declared != str(size):
            raise LedgerUnreachable(path=self.prefix, detail="half an answer", expected=declared[:20], found=size)
        return b"".join(parts)


def within(seconds: float, attempt: Callable[[], T]) -> T:
    """Return what an attempt returns, or raise what it raises; TimeoutError when it takes longer.

    The client library bounds each wait only, so a service that sends a little for ever would never be given up. What
    takes too long is left to a thread that ends with the program.
    """
    results: list[T] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            results.append(attempt())
        except BaseException as fault:  # noqa: BLE001 - raised again, in the thread that asked
            faults.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if faults:
        raise faults[0]
    if not results:
        raise TimeoutError
    return results[0]


def shown(text: bytes) -> str:
    """Return the beginning of what a service said, as errors show it."""
    return ascii(text[:160].decode(errors="replace"))[1:-1]


def _checked(prefix: str, option: str) -> str:
    try:
        parts = urlsplit(prefix)
        fit = parts.scheme in {"http", "https"} and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        raise UsageError(option=option, detail="not a URL") from None
    if not fit:
        raise UsageError(option=option, detail="not the URL of a service", expected="https://HOST/...")
    if parts.username is not None or parts.password is not None:
        raise UsageError(option=option, detail="a URL with a password would be shown; put it into ~/.netrc")
    return prefix.rstrip("/")


@contextmanager
def _failures(prefix: str) -> Iterator[None]:
    """Say that a service gave no whole answer, for whatever reason of the client library."""
    import requests
    import urllib3

    try:
        yield
    except requests.exceptions.InvalidURL as fault:
        raise UsageError(path=prefix, detail="not the URL of a service") from fault
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as fault:
        raise LedgerUnreachable(path=prefix, detail=type(fault).__name__) from fault
