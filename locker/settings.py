"""Where a locker keeps its rows and objects: ``locker.toml`` in its directory (docs/locker.md, "Growing").

Without the file, both are in the directory itself; how long evidence is kept, and where cold copies lie, stands there
too. No secret stands here: PostgreSQL has its password file, S3 the
usual environment variables.
"""

import json
import tomllib
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from kit.errors import UsageError

FILE = "locker.toml"
MAX_BYTES = 64 << 10
POSTGRESQL = "postgresql+psycopg"
_DATABASE_FORM = f"{POSTGRESQL}://USER@HOST/NAME"


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One object store: an S3 bucket, with a server of one's own as ``endpoint``; a cold one may be a directory."""

    url: str
    endpoint: str | None = None
    region: str = "us-east-1"

    @property
    def bucket(self) -> str:
        """Return the bucket's name."""
        return urlsplit(self.url).netloc

    @property
    def directory(self) -> Path | None:
        """Return the directory that a ``file:///`` URL names; only a cold store may be one."""
        parts = urlsplit(self.url)
        return Path(unquote(parts.path)) if parts.scheme == "file" and not parts.netloc and parts.path != "/" else None

    @property
    def prefix(self) -> str:
        """Return what all keys in the bucket begin with; may be empty."""
        return urlsplit(self.url).path.strip("/")


_PolicyId = Annotated[str, msgspec.Meta(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_.-]+\Z")]
_Days = Annotated[int, msgspec.Meta(ge=1, le=3650)]


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """How long evidence is kept, in days from its ingest: in the hot store, and at all."""

    policy: _PolicyId = "standard"
    hot_days: _Days = 180
    cold_days: _Days = 730


class RetentionSettings(Policy, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """The policy of every tenant that has none of its own; ``grace_days`` lie between mark and deletion."""

    grace_days: _Days = 7
    tenants: dict[str, Policy] = {}

    def of(self, tenant: str) -> Policy:
        """Return a tenant's policy."""
        own = self.tenants.get(tenant)
        return own or Policy(policy=self.policy, hot_days=self.hot_days, cold_days=self.cold_days)


class HoldSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Whether somebody else than its creator must release a hold."""

    second_person: bool = False


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """``locker.toml``; what is absent is in the locker's own directory, or as it is by default."""

    database: str | None = None
    store: StoreSettings | None = None
    cold: StoreSettings | None = None
    retention: RetentionSettings = RetentionSettings()
    holds: HoldSettings = HoldSettings()


def read(directory: Path) -> Settings:
    """Return a locker's settings; :class:`UsageError` for a file that says what it may not."""
    path = directory / FILE
    return parse(path.read_bytes()) if path.is_file() else Settings()


def parse(data: bytes) -> Settings:
    """Read ``locker.toml``; what it may not say is the operator's error, :class:`UsageError`."""
    try:
        if len(data) > MAX_BYTES:
            raise UsageError(path=FILE, detail="is too large", expected=MAX_BYTES, found=len(data))
        settings = msgspec.convert(tomllib.loads(data.decode()), Settings, strict=True)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, RecursionError) as fault:
        raise UsageError(path=FILE, detail=str(fault)[:200]) from fault
    return checked(settings)


def checked(settings: Settings) -> Settings:
    """Return settings that can be used; :class:`UsageError` for a URL of another kind, or one with a password."""
    if settings.database is not None:
        _check_database(settings.database)
    if settings.store is not None:
        _check_store(settings.store)
    if settings.cold is not None and settings.cold.directory is None:
        _check_store(settings.cold)
    if settings.cold is not None and settings.cold == settings.store:
        raise UsageError(path=FILE, detail="the cold store is the hot one", found=settings.cold.url)
    _check_retention(settings.retention)
    return settings


def _check_retention(retention: RetentionSettings) -> None:
    for tenant, policy in {"": retention, **retention.tenants}.items():
        if policy.hot_days > policy.cold_days:
            expected = f"at most cold-days, {policy.cold_days}"
            detail = f"hot-days of tenant {tenant}" if tenant else "hot-days"
            raise UsageError(path=FILE, detail=detail, expected=expected, found=policy.hot_days)


def to_toml(settings: Settings) -> bytes:
    """Return the file that says these settings."""
    lines = [] if settings.database is None else [f"database = {json.dumps(settings.database)}"]
    sections = {
        "store": settings.store,
        "cold": settings.cold,
        "retention": settings.retention if settings.retention != RetentionSettings() else None,
        "holds": settings.holds if settings.holds != HoldSettings() else None,
    }
    for name, section in sections.items():
        if section is not None:
            lines += _table(name, msgspec.to_builtins(section), first=not lines)
    return "".join(f"{line}\n" for line in lines).encode()


def _table(name: str, members: dict[str, object], *, first: bool) -> list[str]:
    """Return the lines of a table and of the tables in it."""
    plain = {key: value for key, value in members.items() if value is not None and not isinstance(value, dict)}
    lines = [*([] if first else [""]), f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in plain.items())]
    for key, value in members.items():
        if isinstance(value, dict) and key == "tenants":
            for tenant, policy in value.items():
                lines += _table(f"{name}.{key}.{json.dumps(tenant)}", policy, first=False)
    return lines


def _check_database(url: str) -> None:
    try:
        parsed = sa.make_url(url)
    except ArgumentError as fault:
        raise UsageError(path=FILE, detail="the database is not a URL", expected=_DATABASE_FORM) from fault
    if parsed.drivername != POSTGRESQL:
        raise UsageError(path=FILE, detail="no database that a locker can use", expected=_DATABASE_FORM)
    if parsed.password is not None:
        raise UsageError(path=FILE, detail="a password in the database's URL").then(
            "Take it out, and keep it in ~/.pgpass or in the file that PGPASSFILE names."
        )


def _check_store(store: StoreSettings) -> None:
    parts = urlsplit(store.url)
    if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(path=FILE, detail="no store that a locker can use", expected="s3://BUCKET/PREFIX")
    if store.endpoint is not None:
        there = urlsplit(store.endpoint)
        if there.scheme not in ("http", "https") or not there.netloc or "@" in there.netloc:
            raise UsageError(path=FILE, detail="the store's endpoint is not a URL", expected="https://HOST:PORT")
