"""The networks: one family of diffusion models, pose detectors and segmenters, and how they are loaded."""
