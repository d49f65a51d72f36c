"""Canonical JSON, digests, Merkle trees, names, tar and Zstandard frames: docs/format.md section 1."""
