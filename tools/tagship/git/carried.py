"""A mark of mirrors that are fed from a place with capsules, and not from a server of Git."""

CARRIED = "carried.json"  # commits here lack folders that they have: of ``workspace.carried``
