"""Gaia Vision's API: an HTTP server for the live versions of the two models."""
