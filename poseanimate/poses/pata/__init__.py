"""Pose Alignment Transition Algorithm (PATA, Sec. 3.1); `alignment` lists its steps."""

from poseanimate.poses.pata.alignment import Alignment, align
from poseanimate.poses.pata.findings import Finding, FindingCode, Severity
from poseanimate.poses.pata.settings import PataSettings

__all__ = ["Alignment", "Finding", "FindingCode", "PataSettings", "Severity", "align"]
