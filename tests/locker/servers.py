"""Real servers for the locker: PostgreSQL and an S3 store, on loopback, each in a directory of its own."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import obstore
import sqlalchemy as sa
from obstore.store import S3Store

ACCESS, SECRET = "locker", "locker-secret"
BUCKET = "evidence"


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now; none is above 50,000, for a server may add 10,000 to it."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1] % 30_000 + 15_000
            with socket.socket() as other, contextlib.suppress(OSError):
                other.bind(("127.0.0.1", port))
                found.append(port) if port not in found else None
    return found


def until(ready: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for a server."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)


@dataclass
class PostgreSQL:
    """A server of its own, reachable by a socket in its directory."""

    directory: Path

    def __post_init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        if not found:
            raise FileNotFoundError("PostgreSQL is not installed: tools/bootstrap --tests")
        self.binaries = found[-1].parent
        self.data = self.directory / "data"
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", self.data, "-N", "-A", "trust", "-U", "locker", "-E", "UTF8", "--locale=C")
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.directory} -c max_connections=50"
        self._run("pg_ctl", "-w", "-D", self.data, "-l", self.directory / "log", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-w", "-D", self.data, "-m", mode, "stop")

    def new_database(self, name: str) -> str:
        """Make an empty database; return its URL."""
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        engine.dispose()
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://locker@/{name}?host={self.directory}"

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self.binaries / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.directory, check=False)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")


@dataclass
class Bucket:
    """An S3 server of its own."""

    directory: Path

    def __post_init__(self) -> None:
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "locker", "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}], "actions": actions}
        (self.directory / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (self.directory / "data").mkdir()
        self.port, *self._others = free_ports(5)
        self.start()

    @property
    def credentials(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        master, volume, filer, admin = self._others
        arguments = [
            f"-logdir={self.directory}", "mini", f"-dir={self.directory / 'data'}", "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1", "-master.telemetry=false", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0",
            "-s3.port.lance=0", f"-s3.config={self.directory / 's3.json'}", f"-s3.port={self.port}",
            f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-admin.port={admin}",
        ]  # fmt: skip
        weed = Path(sys.executable).with_name("weed")
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [weed, *arguments], stdout=log, stderr=log, env=os.environ | {"GOMEMLIMIT": "256MiB"}
            )
        until(self._is_ready, f"weed: {self.directory / 'log'}")

    def stop(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)
        self._process.wait(timeout=30)

    def new_place(self) -> str:
        """Return the URL of an empty place in the one bucket; the server runs out of volumes after a few buckets."""
        return f"s3://{BUCKET}/{uuid4().hex}"

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"weed ended: {(self.directory / 'log').read_text()[-2000:]}")
        try:
            store = S3Store(
                BUCKET,
                endpoint=self.endpoint,
                access_key_id=ACCESS,
                secret_access_key=SECRET,
                region="us-east-1",
                client_options={"allow_http": True},
                retry_config={"max_retries": 0},
            )
            self._make_bucket()
            obstore.put(store, "probe", b"ready")
        except Exception:  # noqa: BLE001  # whatever a server says that is still starting
            return False
        return True

    def _make_bucket(self) -> None:
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )
        with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=BUCKET)
        client.close()


@contextlib.contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Run a PostgreSQL server below the system's temporary directory, where its own user may go."""
    directory = Path(tempfile.mkdtemp(prefix="locker-pg-"))
    directory.chmod(0o755)
    try:
        server = PostgreSQL(directory)
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def bucket_server() -> Iterator[Bucket]:
    """Run an S3 server."""
    directory = Path(tempfile.mkdtemp(prefix="locker-s3-"))
    try:
        server = Bucket(directory)
        try:
            yield server
        finally:
            server.stop(signal.SIGKILL)
    finally:
        shutil.rmtree(directory)
