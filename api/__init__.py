"""Gaia Vision's API and its page: the weather of a day, the land surface in a picture."""
