"""Makes releases: a verifier that needs nothing of its host, from pinned sources, and the proof of that."""
