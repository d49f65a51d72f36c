"""The deterministic evaluation: SBOM readers, versions, matching, VEX, policy. Pure functions of their arguments."""
