"""Exit codes 30 to 33: integrity."""

from kit.errors.base import StellaError


class DigestMismatch(StellaError):
    """Bytes differ from the digest that was signed for them."""

    exit_code = 30
    sentence = "A file's bytes are not the signed ones."
    next_step = "Copy the medium again; if it happens again, ask for a fresh kit."


class SizeMismatch(StellaError):
    """A file or member is longer or shorter than signed."""

    exit_code = 30
    sentence = "A file's size is not the signed one."
    next_step = "Copy the medium again; if it happens again, ask for a fresh kit."


class MerkleRootMismatch(StellaError):
    """A Merkle root derived from the content is not the recorded one."""

    exit_code = 30
    sentence = "A Merkle root does not match its content."
    next_step = "Do not use this kit; report the receipt."


class MalformedDocument(StellaError):
    """A document does not follow its schema or is not valid JSON, TOML or the like."""

    exit_code = 31
    sentence = "A document is malformed."
    next_step = "Ask the sender for a well-formed document."


class NotCanonical(StellaError):
    """A signed document is not in canonical form, or holds a value that the canonical form refuses."""

    exit_code = 31
    sentence = "A document is not in canonical form."
    next_step = "Ask the sender for a fresh kit, built by an unmodified stella."


class DuplicateMember(StellaError):
    """A JSON object names a member twice."""

    exit_code = 31
    sentence = "A JSON object has the same member twice."
    next_step = "Do not use this document; two readers could see two contents."


class UnsupportedVersion(StellaError):
    """A document has a schema version or contract that this program does not know."""

    exit_code = 31
    sentence = "A document's version is not one that this program knows."
    next_step = "Use the verifier that travels in the kit's bin/ directory, or a newer one."


class VerifierTooOld(StellaError):
    """The manifest demands a newer verifier than this one."""

    exit_code = 31
    sentence = "The scan asks for a newer verifier than this program."
    next_step = "Use the verifier that travels in the kit's bin/ directory, or a newer one."


class MatchContractDiffers(StellaError):
    """A feed snapshot was indexed by other matching rules than this program looks it up by."""

    exit_code = 31
    sentence = "A feed snapshot was made under other matching rules; this program would silently find less in it."
    next_step = "Use the verifier of the kit's bin/ directory, or ask the sender to make the snapshot anew."


class LimitExceeded(StellaError):
    """Input is larger, deeper or more numerous than declared or allowed."""

    exit_code = 31
    sentence = "The input exceeds a limit."
    next_step = "Do not use this kit; report the receipt."


class HostileName(StellaError):
    """A file name breaks the name rules."""

    exit_code = 31
    sentence = "A file name is not allowed."
    next_step = "Do not use this kit; report the receipt."


class NameCollision(StellaError):
    """Two names would be one file on some file system, or a file would be another's parent."""

    exit_code = 31
    sentence = "Two file names collide."
    next_step = "Do not use this kit; report the receipt."


class MalformedTar(StellaError):
    """A tar stream is not byte for byte what the writer makes of the signed member list."""

    exit_code = 31
    sentence = "A bundle's tar stream is not in the one accepted form."
    next_step = "Do not use this kit; report the receipt."


class MalformedFrame(StellaError):
    """A Zstandard frame breaks the frame rules or does not decode."""

    exit_code = 31
    sentence = "A compressed frame is not in the one accepted form."
    next_step = "Copy the medium again; if it happens again, ask for a fresh kit."


class KeyRefused(StellaError):
    """A key is weak, damaged, or of an algorithm or encoding that is not accepted."""

    exit_code = 31
    sentence = "A key is not acceptable."
    next_step = (
        "Use a key of an algorithm in docs/format.md section 4.1, in PEM (PKCS#8 private, SubjectPublicKeyInfo public)."
    )


class FileMissing(StellaError):
    """A signed file or member is not there."""

    exit_code = 32
    sentence = "A file is missing."
    next_step = "Copy the medium again; if it happens again, ask for a fresh kit."


class FileUndeclared(StellaError):
    """A file or member is there that nobody signed."""

    exit_code = 32
    sentence = "There is a file that is not in the signed list."
    next_step = "Remove the foreign file only if you know how it got there; otherwise ask for a fresh kit."


class ToolHashMismatch(StellaError):
    """A tool or the engine is not the recorded one."""

    exit_code = 33
    sentence = "A tool is not the recorded one."
    next_step = (
        "Use the verifier of the kit's bin/ directory, or ask what a newer tool would say: --what-if --vary=tools."
    )
