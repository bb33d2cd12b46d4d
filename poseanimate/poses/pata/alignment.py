"""Pose alignment: fits a driver's motion to a picture's character (PATA, Sec. 3.1).

The paper gives no formulas; these are ours, in the order of `align`:
 1. everything in isotropic pixels of the target canvas           `track.fit_driver`
 2. which joints count, gaps, missing parents                     `track.read_track`
 3. bone lengths that foreshortening can't shrink                 `calibrate.bone_lengths`
 4. the driver's scale from a similarity fit on the torso         `calibrate.calibrate`
 5. the character's limb lengths at the driver's angles           `retarget.retarget`
 6. position: anchored to the character or pinned                 `place.place`
 7. smoothing of angles and root, in 5 and 6                      `smoothing`
 8. manual size and position                                      `place.nudge`
 9. a transition from the picture's pose into the motion          `transition`
10. findings before any expensive work                            `findings`
Symbols: p_s the source pose, q_i the driver's poses, P = {p_0 … p_N} the result, p_0 = p_s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from poseanimate.poses.motion import Motion
from poseanimate.poses.pata.calibrate import calibrate
from poseanimate.poses.pata.findings import (
    Finding,
    Severity,
    find_errors,
    find_warnings,
    read_with_care,
    several_people,
)
from poseanimate.poses.pata.place import nudge, place
from poseanimate.poses.pata.retarget import retarget
from poseanimate.poses.pata.settings import DEFAULT_SETTINGS, PataSettings
from poseanimate.poses.pata.track import fit_driver, read_track
from poseanimate.poses.pata.transition import build_transition, choose_length
from poseanimate.poses.skeleton import Pose


@dataclass(frozen=True, eq=False)
class Alignment:
    """The target poses and the findings about them.

    poses: p_0 … p_N in pixels of the target canvas; p_0 is the source pose itself, and the only one
        if a finding is an error.
    transition: number of poses between p_0 and the motion.
    fps: the motion's frame rate.
    findings: findings, errors first.
    scale: the driver's scale after fitting its canvas into the target's, including the manual scale.
    """

    poses: tuple[Pose, ...]
    transition: int
    fps: float
    findings: tuple[Finding, ...]
    scale: float = 1.0

    def repeated(self, frames: int) -> Alignment:
        """Repeats the motion, without the transition, until there are `frames` poses.

        The repeated poses are the same objects, so results for them can be reused.
        """
        motion = self.poses[1 + self.transition :]
        missing = frames - len(self.poses)
        if missing <= 0 or not motion:
            return self
        again = motion * -(-missing // len(motion))
        return replace(self, poses=(*self.poses, *again[:missing]))

    def scaled(self, x: float, y: float) -> Alignment:
        """The same on a canvas that is x times as wide and y times as high."""
        return replace(self, poses=tuple(pose.scaled(x, y) for pose in self.poses))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that prevent a run; empty if the alignment can be used."""
        return tuple(v for v in self.findings if v.severity is Severity.ERROR)


def align(
    source: Pose,
    motion: Motion,
    width: int,
    height: int,
    settings: PataSettings = DEFAULT_SETTINGS,
    frames: int | None = None,
) -> Alignment:
    """Target poses P from the source pose p_s and a driver's motion (PATA, Sec. 3.1).

    Args:
        source: p_s, in pixels of the target canvas.
        motion: the driver, in pixels of its own canvas.
        width, height: the target canvas.
        settings: see `PataSettings`.
        frames: how many poses to keep, including p_0; None for all. The whole motion is aligned all
            the same, so that a longer clip begins like a shorter one; findings are about the poses
            kept.

    What can't be aligned gets a finding instead of an exception.

    Raises:
        MotionError: the motion has coordinates so far outside its canvas that scaling takes them
            out of a pose's range.
    """
    character = read_track((source,), width, height)
    driver = fit_driver(motion, width, height)
    errors = find_errors(character, driver)
    if errors:
        return Alignment((source,), 0, motion.fps, errors)
    calibration = calibrate(character, driver, settings)
    limbs = retarget(driver, calibration, motion.fps, settings)
    aligned = place(limbs, character, driver, calibration, motion.fps, settings)
    aligned = nudge(aligned, character, (width, height), settings)
    leading = choose_length(character, aligned, settings)
    poses = (source, *build_transition(character, aligned, leading), *aligned.poses)[:frames]
    findings = find_warnings(
        character,
        driver.at(calibration.frame),
        aligned.first(len(poses) - 1 - leading) if len(poses) > 1 + leading else aligned,
        calibration.measured,
        calibration.certain,
        (width, height),
        pinned=settings.anchor == "pinned",
    )
    if motion.people > 1:
        findings = (several_people(motion.people), *findings)
    if motion.notes:
        findings = (*findings, read_with_care(motion.notes))
    return Alignment(
        poses,
        min(leading, len(poses) - 1),
        motion.fps,
        findings,
        calibration.scale * settings.scale,
    )
