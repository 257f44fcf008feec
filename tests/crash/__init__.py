"""A command killed, or failed, at each of its calls that change files."""
