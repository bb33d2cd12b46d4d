"""Metrics of clips, and the networks that some of them use."""
