"""Reading a CVSS vector string: ``METRIC:VALUE`` joined by slashes, each metric once."""

from collections.abc import Collection, Mapping

MAX_LENGTH = 512


class UnusableVector(Exception):
    """The text is not a vector of the version that its prefix names, with a complete base group."""


def metrics(text: str, known: Mapping[str, Collection[str]], base: Collection[str]) -> dict[str, str]:
    """Return the metrics of a vector without its prefix; ``known`` has the values of each metric.

    The order of metrics is free and one closing slash is passed over, as tools write it. Raises
    :class:`UnusableVector`.
    """
    if len(text) > MAX_LENGTH:
        raise UnusableVector
    found: dict[str, str] = {}
    for part in text.removesuffix("/").split("/"):
        name, _, value = part.partition(":")
        if value not in known.get(name, ()) or name in found:
            raise UnusableVector
        found[name] = value
    if not all(name in found for name in base):
        raise UnusableVector
    return found
