"""The Evidence Locker: keeps recorded scans and the results that come back."""
