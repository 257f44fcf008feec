"""Time and memory of tagship, compared with other tools and with lower limits."""
