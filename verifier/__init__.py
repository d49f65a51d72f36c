"""The air-gap appliance: ordered checks, replay, guard, site state, and everything that is frozen."""
