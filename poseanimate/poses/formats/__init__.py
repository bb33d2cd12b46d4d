"""Pose files of many tools, read in four steps, each of which is decided in one place.

1. text to JSON values                                   `text.read_documents`
2. JSON values to frames and the people in them          `layouts.find_frames`
3. a person's points to 18 joints, hands and a face      `people.read_person`, by the orders in `orders`
4. missing points, confidences, units and the canvas     `units`

Whatever can't be read raises `Refused`; whatever is left out or assumed is a sentence in `Notes`.
"""
