"""Sigstore bundles on a medium: each holds what the manifest's envelope gives for its signer, and nothing else.

What they are is in kit.trust.sigstore; docs/format.md section 4.10.
"""

from kit import layout
from kit.errors import SigstoreBundleWrong
from kit.trust import sigstore
from kit.trust.rootpack import TrustedPack
from verifier.medium import Medium

KIT = "kit"


def check(medium: Medium, scan: str, envelope: bytes, pack: TrustedPack) -> tuple[str, ...]:
    """Return the paths of a scan's bundles.

    Raises :class:`SigstoreBundleWrong` for a bundle that the envelope does not give. ``scan`` is the scan's directory
    on the medium, empty where that is the medium itself. A bundle may be of any key of usage kit, for what the key
    counts for is judged by the envelope alone.
    """
    prefix = f"{scan}/" if scan else ""
    found = {name: path for name, path in medium.below(prefix).items() if name.lower().endswith(sigstore.SUFFIX)}
    if not found:
        return ()
    made = sigstore.bundles(envelope, pack.keys(KIT, None), name=f"{prefix}{layout.MANIFEST_ENVELOPE}")
    for name, path in sorted(found.items()):
        expected = made.get(name)
        if expected is None:
            raise SigstoreBundleWrong(path=path, detail="is of no signer of the manifest's envelope")
        if medium.sizes[path] != len(expected) or medium.read(path, limit=len(expected)) != expected:
            raise SigstoreBundleWrong(path=path, detail="is not what the envelope gives for its signer")
    return tuple(sorted(found.values()))
