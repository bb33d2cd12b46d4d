"""Measures clips against true animations and compares rows of settings."""
