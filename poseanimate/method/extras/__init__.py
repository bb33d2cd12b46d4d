"""What the paper does not have: aids, baselines and faster ways to compute the same."""
