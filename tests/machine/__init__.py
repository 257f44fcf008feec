"""A state machine over all commands that write, and the plain model that it is checked against."""
