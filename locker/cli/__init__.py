"""The commands of the Evidence Locker, one file each."""
