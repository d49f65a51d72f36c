"""The files of a RootPack on a medium, within bounds, for nobody has vouched for them yet."""

from kit.errors import LimitExceeded
from verifier.medium import Medium

MAX_METADATA = 1 << 20
MAX_PACK_FILES = 400
MAX_PACK_BYTES = 32 << 20


def read_pack(medium: Medium, base: str) -> dict[str, bytes]:
    """Return the files of the RootPack in a directory of a medium, by path in the RootPack.

    Raises :class:`LimitExceeded` for more than any RootPack has.
    """
    declared = medium.below(f"{base}/")
    size = sum(medium.sizes[path] for path in declared.values())
    if len(declared) > MAX_PACK_FILES or size > MAX_PACK_BYTES:
        raise LimitExceeded(path=base, expected=f"{MAX_PACK_FILES} files, {MAX_PACK_BYTES} bytes")
    return {name: medium.read(path, limit=MAX_METADATA) for name, path in declared.items()}
