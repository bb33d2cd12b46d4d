"""The rendered world: characters and places whose true pictures, poses and masks are known."""
