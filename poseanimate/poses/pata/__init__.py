"""Pose Alignment Transition Algorithm (Sec. 3.1): fits a driver's motion to the character of a picture."""
