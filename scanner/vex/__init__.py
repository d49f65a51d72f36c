"""Readers of VEX documents and the rule that settles conflicting statements."""
