"""What a time-stamp response holds (RFC 3161 section 2.4.2, in CMS by RFC 5652): read strictly, believed in nothing.

Structure only: :mod:`kit.trust.timestamp` decides what counts.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from kit.trust import der
from kit.trust.der import Reader, implicit

TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
NO_PARAMETERS: Final = (b"", bytes([der.NULL, 0]))

_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
SHA256: Final = "2.16.840.1.101.3.4.2.1"
_GRANTED: Final = (0, 1)
_MAX_STATUS: Final = 5
_SIGNED_DATA_VERSION: Final = 3
"""That of signed data which is no plain data and has no attribute certificates (RFC 5652 section 5.1)."""
_NAME_PARTS: Final = {"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.10": "O", "2.5.4.11": "OU"}
_TEXTS: Final = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
_UTF8: Final = 0x0C
_BITS: Final = 0x03
_DIRECTORY_NAME: Final = implicit(4, constructed=True)
_TIME_DIGITS: Final = 14
_TIME_LENGTHS: Final = {der.UTC_TIME: 13, der.GENERALIZED_TIME: 15}
_MAX_FRACTION: Final = 9
_SECOND: Final = timedelta(seconds=1)


class Algorithm(msgspec.Struct, frozen=True):
    """An algorithm by its object identifier; ``parameters`` are DER, nothing where they are absent."""

    oid: str
    parameters: bytes


class Certified(msgspec.Struct, frozen=True):
    """A certificate that a signer names: by digest, ``hash_oid`` None for the older form, which has SHA-1.

    ``named`` are also its issuer, a Name in DER, and its serial number, where the signer gives them.
    """

    hash_oid: str | None
    digest: bytes
    named: tuple[bytes, int] | None


class Signer(msgspec.Struct, frozen=True):
    """One SignerInfo. ``attributes`` are the bytes that are signed, as a SET; ``issuer`` is a Name in DER.

    ``digest`` is the object identifier of a hash; ``certified`` has a list for each form in which certificates are
    named (RFC 2634, RFC 5035), the signer's own first and then what he lets count in its chain.
    """

    issuer: bytes
    serial: int
    digest: str
    attributes: bytes
    content_type: str
    message_digest: bytes
    certified: tuple[tuple[Certified, ...], ...]
    algorithm: Algorithm
    signature: bytes


class Token(msgspec.Struct, frozen=True):
    """What a stamp says and who signed it; ``content`` are the bytes of its TSTInfo.

    ``time`` has its parts of a second, rounded up to a microsecond; ``earliest`` and ``latest`` are the whole seconds
    around all that it may be by its accuracy. ``name`` is the authority's, a GeneralName; ``unknown`` a critical
    extension.
    """

    content: bytes
    imprint: tuple[str, bytes]
    time: datetime
    accuracy: timedelta
    earliest: datetime
    latest: datetime
    name: bytes | None
    unknown: str | None
    digests: frozenset[str]
    certificates: tuple[bytes, ...]
    signers: tuple[Signer, ...]


def read(data: bytes) -> Token | int:
    """Return what a TimeStampResp holds, or its status where the stamp was not granted; ValueError for anything else.

    OverflowError for times and accuracies that no calendar knows.
    """
    outer = Reader(data)
    response = outer.inside(der.SEQUENCE)
    outer.finish()
    said = response.inside(der.SEQUENCE)
    status = said.integer()
    if not 0 <= status <= _MAX_STATUS:
        raise ValueError("a status that nobody defined")
    if said.starts(der.SEQUENCE):
        words = said.inside(der.SEQUENCE)
        while not words.is_done:
            words.content(_UTF8).decode()
    if status not in _GRANTED:
        if said.starts(_BITS):
            said.raw()
        said.finish()
        return status
    said.finish()
    content = _tagged(response, _SIGNED_DATA, "signed data")
    response.finish()
    return _signed_data(content)


def issuer_text(name: bytes) -> str:
    """Return a Name as people read it, the most particular part first; ValueError for a text of no known type."""
    parts = [f"{_NAME_PARTS.get(oid, oid)}={text}" for together in name_parts(name) for oid, text in together]
    return ",".join(reversed(parts))


def name_parts(name: bytes) -> list[tuple[tuple[str, str], ...]]:
    """Return the parts of a Name, each with what stands together in it, in whatever type its texts are written.

    ValueError for a text of no known type.
    """
    outer = Reader(name)
    parts = outer.inside(der.SEQUENCE)
    outer.finish()
    found = []
    while not parts.is_done:
        found.append(tuple(_attribute_of_name(element) for element in parts.elements(der.SET)))
    return found


def directory_name(general_name: bytes) -> bytes | None:
    """Return the Name in a GeneralName, None where it is of another kind."""
    outer = Reader(general_name)
    if not outer.starts(_DIRECTORY_NAME):
        return None
    inner = outer.inside(_DIRECTORY_NAME)
    name = inner.raw(der.SEQUENCE)
    inner.finish()
    return name


def _attribute_of_name(element: bytes) -> tuple[str, str]:
    pair = _only(element, der.SEQUENCE)
    oid = pair.oid()
    tag, text = _text(pair.raw())
    if tag not in _TEXTS:
        raise ValueError("a name of no known type")
    pair.finish()
    return oid, text.decode(_TEXTS[tag])


def _text(element: bytes) -> tuple[int, bytes]:
    return element[0], Reader(element).content(element[0])


def _only(element: bytes, tag: int) -> Reader:
    return Reader(element).inside(tag)


def _tagged(reader: Reader, oid: str, what: str) -> Reader:
    """Return a reader of what stands under [0] beside an object identifier that must be this one."""
    pair = reader.inside(der.SEQUENCE)
    if pair.oid() != oid:
        raise ValueError(f"not {what}")
    content = pair.inside(implicit(0, constructed=True))
    pair.finish()
    return content


def _signed_data(content: Reader) -> Token:
    signed = content.inside(der.SEQUENCE)
    content.finish()
    if signed.integer() != _SIGNED_DATA_VERSION:
        raise ValueError("signed data of an unknown version")
    digests = [_hash(Reader(one)) for one in signed.elements(der.SET)]
    stamped = _tagged(signed, TST_INFO, "a time stamp")
    info = stamped.content(der.OCTETS)
    stamped.finish()
    certificates: list[bytes] = []
    if signed.starts(implicit(0, constructed=True)):
        certificates = _list(signed.inside(implicit(0, constructed=True)))
    # Revocation lists may stand here. No signature covers them, and nothing here would heed them: they are refused.
    signers = tuple(_signer(Reader(one)) for one in signed.elements(der.SET))
    signed.finish()
    return _info(info, frozenset(digests), tuple(certificates), signers)


def _list(reader: Reader) -> list[bytes]:
    found = []
    while not reader.is_done:
        found.append(reader.raw(der.SEQUENCE))
    return found


def algorithm_of(reader: Reader) -> Algorithm:
    """Return the algorithm that comes next."""
    inner = reader.inside(der.SEQUENCE)
    oid = inner.oid()
    parameters = b"" if inner.is_done else inner.raw()
    inner.finish()
    return Algorithm(oid, parameters)


def _hash(reader: Reader) -> str:
    """Return the object identifier of a hash function, which takes no parameters (RFC 5754 section 2)."""
    algorithm = algorithm_of(reader)
    if algorithm.parameters not in NO_PARAMETERS:
        raise ValueError("a hash function with parameters")
    return algorithm.oid


def _signer(reader: Reader) -> Signer:
    signer = reader.inside(der.SEQUENCE)
    if signer.integer() != 1:  # the only version that names its certificate by issuer and number
        raise ValueError("a signer that is not named by issuer and number")
    named = signer.inside(der.SEQUENCE)
    issuer, serial = named.raw(der.SEQUENCE), named.integer()
    named.finish()
    digest = _hash(signer)
    attributes = der.encode(der.SET, Reader(tagged := signer.raw(implicit(0, constructed=True))).content(tagged[0]))
    values = _attributes(attributes)
    if _SIGNING_TIME in values:
        _check_signing_time(_value(values, _SIGNING_TIME))
    algorithm, signature = algorithm_of(signer), signer.content(der.OCTETS)
    signer.finish()  # unsigned attributes may stand here: no signature covers them, so they are refused
    content_type, message_digest = _value(values, _CONTENT_TYPE), _value(values, _MESSAGE_DIGEST)
    return Signer(
        issuer=issuer,
        serial=serial,
        digest=digest,
        attributes=attributes,
        content_type=content_type.oid(),
        message_digest=message_digest.content(der.OCTETS),
        certified=tuple(_certified(values)),
        algorithm=algorithm,
        signature=signature,
    )


def _attributes(encoded: bytes) -> dict[str, list[bytes]]:
    """Return the values of the signed attributes by their type; each type stands once."""
    found: dict[str, list[bytes]] = {}
    for element in Reader(encoded).elements(der.SET):
        attribute = _only(element, der.SEQUENCE)
        oid = attribute.oid()
        if oid in found:
            raise ValueError("an attribute that stands twice")
        found[oid] = attribute.elements(der.SET)
        attribute.finish()
    return found


def _value(values: dict[str, list[bytes]], oid: str) -> Reader:
    (value,) = values.get(oid, [])  # exactly one, by RFC 5652 sections 11.1 and 11.2
    return Reader(value)


def _check_signing_time(value: Reader) -> None:
    """Refuse what is no time at all (RFC 5652 section 11.3); which one it is says nothing, for genTime does."""
    tag = der.UTC_TIME if value.starts(der.UTC_TIME) else der.GENERALIZED_TIME
    text = value.content(tag)
    if not text[:-1].isdigit() or len(text) != _TIME_LENGTHS[tag] or text[-1:] != b"Z":
        raise ValueError("a signing time that is none")


def _certified(values: dict[str, list[bytes]]) -> list[tuple[Certified, ...]]:
    """Return the certificates that the signer names, a list for each form in which he does (RFC 5816)."""
    found = []
    for oid, default in ((_SIGNING_CERTIFICATE, None), (_SIGNING_CERTIFICATE_V2, SHA256)):
        if oid not in values:
            continue
        attribute = _value(values, oid).inside(der.SEQUENCE)
        listed = attribute.inside(der.SEQUENCE)
        attribute.finish()  # policies for the certificates may stand here: nothing would heed them, so they are refused
        named = []
        while not listed.is_done:
            named.append(_certificate_id(listed.inside(der.SEQUENCE), default))
        found.append(tuple(named))
    return found


def _certificate_id(one: Reader, default: str | None) -> Certified:
    hashed = default
    if default is not None and one.starts(der.SEQUENCE):
        hashed = _hash(one)
    digest, named = one.content(der.OCTETS), None
    if one.starts(der.SEQUENCE):
        pair = one.inside(der.SEQUENCE)
        names = pair.inside(der.SEQUENCE)
        issuer = directory_name(names.raw(_DIRECTORY_NAME))
        names.finish()
        named = issuer or b"", pair.integer()
        pair.finish()
    one.finish()
    return Certified(hashed, digest, named)


def _info(data: bytes, digests: frozenset[str], certificates: tuple[bytes, ...], signers: tuple[Signer, ...]) -> Token:
    """Return a token with what its TSTInfo says."""
    outer = Reader(data)
    info = outer.inside(der.SEQUENCE)
    outer.finish()
    if info.integer() != 1:
        raise ValueError("a time stamp of an unknown version")
    info.oid()  # the authority's policy, which the RootPack does not ask for
    pair = info.inside(der.SEQUENCE)
    imprint = _hash(pair), pair.content(der.OCTETS)
    pair.finish()
    info.integer()
    whole, fraction = _time(info.content(der.GENERALIZED_TIME))
    accuracy = _accuracy(info.inside(der.SEQUENCE)) if info.starts(der.SEQUENCE) else timedelta()
    info.flag()  # whether its stamps can be put in order by their times alone, which nobody asks
    if info.starts(der.INTEGER):
        info.integer()
    name = None
    if info.starts(implicit(0, constructed=True)):
        named = info.inside(implicit(0, constructed=True))
        name = named.raw()
        named.finish()
    unknown = _critical(info.inside(implicit(1, constructed=True))) if not info.is_done else None
    info.finish()
    time = whole + fraction
    latest = time + accuracy
    return Token(
        content=data,
        imprint=imprint,
        time=time,
        accuracy=accuracy,
        earliest=(whole - accuracy).replace(microsecond=0),
        latest=latest if not latest.microsecond else latest.replace(microsecond=0) + _SECOND,
        name=name,
        unknown=unknown,
        digests=digests,
        certificates=certificates,
        signers=signers,
    )


def _time(octets: bytes) -> tuple[datetime, timedelta]:
    """Return a GeneralizedTime in UTC: whole seconds, and parts of a second, rounded up to a microsecond."""
    text = octets.decode("ascii")
    whole, point, fraction = text[:-1].partition(".")
    proper = bool(fraction) and fraction.isdigit() and not fraction.endswith("0") and len(fraction) <= _MAX_FRACTION
    if not text.endswith("Z") or len(whole) != _TIME_DIGITS or not whole.isdigit() or (point and not proper):
        raise ValueError("a time of another form than YYYYMMDDHHMMSS[.f]Z")
    parts = [int(whole[start:end]) for start, end in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))]
    year, month, day, hour, minute, second = parts
    part = timedelta(microseconds=-(-int(fraction.ljust(_MAX_FRACTION, "0")) // 1000))
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC), part


def _accuracy(reader: Reader) -> timedelta:
    seconds = reader.integer() if reader.starts(der.INTEGER) else 0
    parts = []
    for number in (0, 1):
        tag = implicit(number, constructed=False)
        parts.append(reader.integer(tag) if reader.starts(tag) else 0)
    reader.finish()
    if seconds < 0 or not all(0 <= part < 1000 for part in parts):
        raise ValueError("an accuracy that is none")
    return timedelta(seconds=seconds, milliseconds=parts[0], microseconds=parts[1])


def _critical(reader: Reader) -> str | None:
    """Return the first critical extension: this program knows none."""
    found: str | None = None
    while not reader.is_done:
        extension = reader.inside(der.SEQUENCE)
        oid = extension.oid()
        critical = extension.flag()
        extension.content(der.OCTETS)
        extension.finish()
        found = found or (oid if critical else None)
    return found
