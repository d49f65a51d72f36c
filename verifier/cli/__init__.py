"""The commands of the air-gap side, one file each."""
