"""What is kept on disk: written whole or not at all, results of stages by content, clips that were shared."""
