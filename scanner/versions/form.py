"""What all schemes share: the one refusal, and how a text is read (docs/matching.md section 3).

Forms are regular expressions that name their characters, so nothing beyond ASCII matches, and whose repetitions keep
what they took or are told apart by the next character, so that matching takes linear time.
"""

import re
from typing import Final

MAX_LENGTH: Final = 512
"""A longer text has no key. Interpreters can be set to refuse numbers of more digits, but not of so few."""


class Unparsable(Exception):
    """A text is no version of its scheme, so it has no place in the order. Never leaves the scanner."""


def read(form: re.Pattern[str], version: str) -> re.Match[str]:
    """Match a whole version; raise ``Unparsable`` where it has another form or more than 512 characters."""
    found = form.fullmatch(version) if len(version) <= MAX_LENGTH else None
    if found is None:
        raise Unparsable(version)
    return found
