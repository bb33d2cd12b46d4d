"""One run: its stages in the paper's order, what they depend on, what they cost."""
