"""How long evidence is kept, how it leaves, and what is left of it (docs/locker.md, "Retention")."""
