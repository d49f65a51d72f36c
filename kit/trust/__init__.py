"""Keys, DSSE envelopes, statements and the RootPack: docs/format.md section 4."""
