"""Who ordered something: the name that was given, and the account of the machine that gave it.

The command line believes the name; the account stands beside it on the timeline. Two orders are those of two people
only if the names differ.
"""

MAX_NAME = 200
_ACCOUNT = " (account "


def named(name: str, account: str) -> str:
    """Return who orders something; the account alone where no name was given."""
    given = name.strip()[:MAX_NAME]
    return f"{given}{_ACCOUNT}{account})" if given else account


def same(one: str, other: str) -> bool:
    """Tell whether two orders may be those of one person."""
    return _name(one) == _name(other)


def _name(who: str) -> str:
    return " ".join(who.partition(_ACCOUNT)[0].casefold().split())
