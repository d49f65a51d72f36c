"""stella locker migrate: bring a locker's rows to this program's schema, or its rows and objects to other places."""

from typing import Annotated

import typer

from locker.cli.options import DEFAULT_LOCKER, LockerDirectory
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

app = typer.Typer()

EXAMPLES = """
Examples:

  stella locker migrate

  stella locker migrate --database postgresql+psycopg://locker@db.example/locker

  stella locker migrate --store s3://evidence/locker --store-endpoint https://s3.example --json
"""


@app.command()
def migrate(
    locker: LockerDirectory = DEFAULT_LOCKER,
    database: Annotated[
        str | None,
        typer.Option("--database", help="An empty PostgreSQL database to move the rows to.", metavar="URL"),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", help="An empty place in an S3 bucket to move the objects to.", metavar="s3://..."),
    ] = None,
    store_endpoint: Annotated[
        str | None, typer.Option("--store-endpoint", help="The S3 server, unless it is AWS.", metavar="URL")
    ] = None,
    store_region: Annotated[
        str, typer.Option("--store-region", metavar="NAME", help="The store's region.")
    ] = "us-east-1",
    json: Json = False,
) -> Verdict:
    """Move a locker to servers, or bring it to this program's schema.

    Every row and every object is read back from the new place and compared before the locker uses it; cut off, run it
    again. Without --database and --store only the schema of the rows is brought up to date. Passwords and keys are not
    given here: PostgreSQL reads ~/.pgpass, the store AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    """
    from locker import move
    from locker.settings import StoreSettings

    console = Console(json=json)
    if database is None and store is None:
        before, after = move.upgrade(locker)
        console.document({"schemaBefore": before, "schema": after})
        return console.verdict("UP TO DATE", 0)
    place = None if store is None else StoreSettings(url=store, endpoint=store_endpoint, region=store_region)
    moved = move.move(locker, move.target_of(locker, database=database, store=place))
    console.document(
        {
            "tables": {name: {"rows": count, "digest": digest} for name, (count, digest) in moved.tables.items()},
            "objects": moved.objects,
            "bytes": moved.size,
            "left": list(moved.left),
        }
    )
    following = f"check it, then remove from {locker}: {', '.join(moved.left)}" if moved.left else ""
    return console.verdict("MOVED", 0, following)
