"""Readers of SBOM documents, one file a format."""
