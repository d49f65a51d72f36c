"""The one refusal of the version schemes."""


class Unparsable(Exception):
    """A text is no version of its scheme, so it has no place in the order. Never leaves the scanner."""
