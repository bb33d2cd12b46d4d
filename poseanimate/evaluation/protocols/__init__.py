"""Protocols: which characters are evaluated in which motions."""
