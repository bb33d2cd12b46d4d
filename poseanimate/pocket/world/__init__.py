"""The rendered world: characters and places with known pictures, poses and masks."""
