"""Where a locker keeps its rows and objects: ``locker.toml`` in its directory (docs/locker.md, "Growing").

Without the file, both are in the directory itself. No secret stands here: PostgreSQL has its password file, S3 the
usual environment variables.
"""

import json
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from kit.errors import UsageError

FILE = "locker.toml"
MAX_BYTES = 64 << 10
POSTGRESQL = "postgresql+psycopg"
_DATABASE_FORM = f"{POSTGRESQL}://USER@HOST/NAME"


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One object store: an S3 bucket, with a server of one's own as ``endpoint``."""

    url: str
    endpoint: str | None = None
    region: str = "us-east-1"

    @property
    def bucket(self) -> str:
        """Return the bucket's name."""
        return urlsplit(self.url).netloc

    @property
    def prefix(self) -> str:
        """Return what all keys in the bucket begin with; may be empty."""
        return urlsplit(self.url).path.strip("/")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """``locker.toml``; what is absent is in the locker's own directory."""

    database: str | None = None
    store: StoreSettings | None = None


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
    return settings


def to_toml(settings: Settings) -> bytes:
    """Return the file that says these settings."""
    lines = [] if settings.database is None else [f"database = {json.dumps(settings.database)}"]
    if settings.store is not None:
        members = msgspec.to_builtins(settings.store)
        lines += ["", "[store]"] if lines else ["[store]"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in members.items() if value is not None]
    return "".join(f"{line}\n" for line in lines).encode()


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
