"""The connected side: feeds, trust publishing, recording, kit assembly, freezing."""
