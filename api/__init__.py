"""Gaia Vision's API: what answers with the two models that tagship puts live."""
