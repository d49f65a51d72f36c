"""The commands of the connected side, one file each."""
