"""What a kit is: bytes, names, bundles, manifests, trust. Pure: no clock, no environment, no network, no printing."""

__version__ = "0.1.0"
