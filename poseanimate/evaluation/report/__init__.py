"""The report: summaries, plots, strips of frames, the page and its files."""
