"""The places of the pocket world in the captions' words; needs no renderer."""

WHERE = {
    "street": "on the street",
    "park": "in the park",
    "beach": "on the beach",
    "room": "in a room",
    "snow": "in the snow",
}
"""Place: the phrase that ends a caption."""
