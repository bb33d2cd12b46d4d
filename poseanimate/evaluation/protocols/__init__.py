"""What is measured: which characters in which motions."""
