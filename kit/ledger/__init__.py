"""Transparency-log evidence, checked offline: notes, checkpoints, proofs, entries (docs/format.md section 10)."""
