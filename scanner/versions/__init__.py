"""Version schemes, one file each: a version string becomes a sortable key."""
