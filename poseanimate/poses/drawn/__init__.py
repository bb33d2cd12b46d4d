"""Drawn skeletons read by colour: pictures as OpenPose and DWPose draw them become poses, without a network.

`kinds` tells them from other pictures, `reader` reads one picture in steps (`palette`, `marks`, `people`, `heads`,
`hands`) and `over_time` drops what was misread for a moment. Faces are not read, and of hands only what is clear.
"""

from poseanimate.poses.drawn.kinds import Kind, is_drawn, tell_kind
from poseanimate.poses.drawn.over_time import drop_outliers
from poseanimate.poses.drawn.reader import DrawnSkeletons, read_figures

__all__ = ["DrawnSkeletons", "Kind", "drop_outliers", "is_drawn", "read_figures", "tell_kind"]
