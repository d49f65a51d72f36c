"""Legal holds: what stops every purge (docs/locker.md, "Holds")."""
