"""S3 Object Lock under the locker's own holds: the store's hold bit, its versions, and whether it enforces anything.

obstore has no lock calls, so these go through boto3, which is imported only where a store is a bucket. A lock is never
believed: :func:`probe` puts a canary under a one-minute lock and tries to delete it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, cast

from kit.errors import NotWritable, RefusedByHold, ServerUnreachable
from locker.cas import BUNDLE, Cas, key
from locker.cas.bucket import BucketCas

ENFORCED = "enforced"
NOT_ENFORCED = "not enforced"
NONE = "none"
UNKNOWN = "unknown: boto3 is not installed"

SET = "on"
CLEARED = "off"
NO_LOCK = "none"

_CANARY = "canary/lock"
_CANARY_TIME = timedelta(minutes=1)
_REMOVED = "removed"
_REMOVED_WITH_VERSIONS = "removed with every version"
_DENIED = {"AccessDenied", "AccessForbidden", "ObjectLocked", "InvalidRequest"}
_NO_LOCK = {"InvalidRequest", "ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed"}


def probe(store: Cas, *, now: datetime) -> str:
    """Return whether a store enforces locks: ``enforced``, ``not enforced``, ``none``, or that nobody could ask.

    Leaves one small object behind, which the next probe removes. Raises :class:`ServerUnreachable`,
    :class:`NotWritable`.
    """
    if not isinstance(store, BucketCas):
        return NONE
    if (client := _client(store)) is None:
        return UNKNOWN
    where = {"Bucket": store.settings.bucket, "Key": _full(store, _CANARY)}
    try:
        with _typed():
            return _try_canary(client, where, now + _CANARY_TIME)
    except _client_error() as fault:
        raise NotWritable(path="cas", detail=f"the store refuses: {_code(fault)}") from fault


def _try_canary(client: Any, where: dict[str, str], until: datetime) -> str:
    _remove_versions(client, where, locked_ok=True)
    try:
        put = client.put_object(**where, Body=b"canary", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    except _client_error() as fault:
        if _code(fault) in _NO_LOCK:
            return NONE
        raise
    if "VersionId" not in put:
        return NOT_ENFORCED
    try:
        client.delete_object(**where, VersionId=put["VersionId"])
    except _client_error() as fault:
        if _code(fault) in _DENIED:
            return ENFORCED
        raise
    return NOT_ENFORCED


def set_hold(store: Cas, digest: str, *, on: bool) -> str:
    """Set or clear the store's own hold on a bundle; return ``on``, ``off``, ``none``, or why it failed."""
    if not isinstance(store, BucketCas):
        return NO_LOCK
    if (client := _client(store)) is None:
        return UNKNOWN
    where = {"Bucket": store.settings.bucket, "Key": _full(store, key(digest, BUNDLE))}
    try:
        with _typed():
            client.put_object_legal_hold(**where, LegalHold={"Status": "ON" if on else "OFF"})
            status = client.get_object_legal_hold(**where)["LegalHold"]["Status"]
    except (NotWritable, ServerUnreachable) as fault:
        return f"failed: {fault.details.get('detail', fault.reason)}"[:256]
    except _client_error() as fault:
        return NO_LOCK if _code(fault) in _NO_LOCK else f"failed: {_code(fault)}"[:256]
    wanted = "ON" if on else "OFF"
    return (SET if on else CLEARED) if status == wanted else f"failed: the store says {status}"[:256]


def remove(store: Cas, digest: str) -> str:
    """Remove a bundle from a store, in a bucket with every version of it; return what was done.

    Raises :class:`RefusedByHold` where the store's own lock stands against it.
    """
    if not isinstance(store, BucketCas):
        store.remove(digest, BUNDLE)
        return _REMOVED
    if (client := _client(store)) is None:
        store.remove(digest, BUNDLE)
        return f"{_REMOVED}; older versions {UNKNOWN}"
    where = {"Bucket": store.settings.bucket, "Key": _full(store, key(digest, BUNDLE))}
    try:
        with _typed():
            _remove_versions(client, where)
    except _client_error() as fault:
        raise NotWritable(path="cas", detail=f"the store refuses: {_code(fault)}") from fault
    # A plain deletion would leave a marker where there are versions, and an object where there are none.
    if store.has(digest, BUNDLE):
        store.remove(digest, BUNDLE)
    return _REMOVED_WITH_VERSIONS


def _remove_versions(client: Any, where: dict[str, str], *, locked_ok: bool = False) -> None:
    for version in list(_versions(client, where)):
        try:
            client.delete_object(**where, VersionId=version)
        except _client_error() as fault:
            if _code(fault) not in _DENIED:
                raise
            if not locked_ok:
                raise RefusedByHold(path=where["Key"], detail="the store's own lock stands against it") from fault


def _versions(client: Any, where: dict[str, str]) -> Iterator[str]:
    pages = client.get_paginator("list_object_versions").paginate(Bucket=where["Bucket"], Prefix=where["Key"])
    for page in pages:
        for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            if found["Key"] == where["Key"]:
                yield str(found["VersionId"])


def _full(store: BucketCas, name: str) -> str:
    return f"{store.settings.prefix}/{name}" if store.settings.prefix else name


def _client(store: BucketCas) -> Any:
    """Return a client for a store's bucket, nothing where boto3 is not installed."""
    try:
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        return None
    config = Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 3}, s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=store.settings.endpoint, region_name=store.settings.region, config=config)


def _client_error() -> type[Exception]:
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

    return cast("type[Exception]", ClientError)


def _code(fault: Exception) -> str:
    answer: dict[str, dict[str, str]] = getattr(fault, "response", {})
    return str(answer.get("Error", {}).get("Code", ""))


@contextmanager
def _typed() -> Iterator[None]:
    """Turn a server that does not answer, or wants other credentials, into the error of that cause."""
    from botocore.exceptions import BotoCoreError, NoCredentialsError

    try:
        yield
    except NoCredentialsError as fault:
        raise NotWritable(path="cas", detail=str(fault)[:200]) from fault
    except BotoCoreError as fault:
        raise ServerUnreachable(path="cas", detail=str(fault)[:200]) from fault
