"""A store in an S3 bucket."""

from datetime import UTC, datetime, timedelta

from obstore.store import S3Store

from locker.cas.store import Cas
from locker.files import typed_errors
from locker.settings import StoreSettings

_ABANDONED = timedelta(days=1)
"""After so long a staged object is nobody's: no upload takes a day, and other machines may be writing."""


class BucketCas(Cas):
    """Objects in a bucket; credentials come from the usual environment variables.

    Create-if-absent is a conditional multipart copy: the plain copy with a condition in its header, which some servers
    ignore, would write over an object in silence.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        store = S3Store(
            settings.bucket,
            prefix=settings.prefix or None,
            region=settings.region,
            endpoint=settings.endpoint,
            virtual_hosted_style_request=False,
            copy_if_not_exists="multipart",
            client_options={"allow_http": (settings.endpoint or "").startswith("http://"), "timeout": "60s"},
            retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
        )
        super().__init__(store)

    def sweep(self) -> None:
        """Remove what was staged long ago; others may be writing to the same bucket."""
        with typed_errors("cas"):
            before = datetime.now(UTC) - _ABANDONED
            for name, since in list(self.staged()):
                if since < before:
                    self._discard(name)

    def _make_durable(self, staged: str) -> None:
        """Do nothing: a bucket acknowledges only what it keeps."""

    def _made_durable(self, final: str, *, was_there: bool) -> None:
        """Do nothing: a bucket acknowledges only what it keeps."""
