"""How good the clips are, measured against the pocket world's true animations."""
