"""Real stores on loopback, and what they answer: all of it is ``make store-test``."""
