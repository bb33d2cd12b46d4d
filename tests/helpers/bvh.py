"""BVH files of a standing person, whose joints are called as in many programs."""

from __future__ import annotations

from collections.abc import Callable

Named = Callable[[str, str], str]

TURNS = "Zrotation Yrotation Xrotation"
BODY = [  # part, its parent, and its offset for the left side in centimetres: y is up, z forwards
    ("upleg", "Hips", (10, 0, 0)),
    ("leg", "upleg", (0, -40, 0)),
    ("foot", "leg", (0, -40, 0)),
    ("arm", "Spine", (20, 50, 0)),
    ("forearm", "arm", (30, 0, 0)),
    ("hand", "forearm", (25, 0, 0)),
]
CONVENTIONS: dict[str, Named] = {
    "CMU": lambda side, part: side + {
        "upleg": "UpLeg", "leg": "Leg", "foot": "Foot", "arm": "Arm", "forearm": "ForeArm", "hand": "Hand",
    }[part],
    "Mixamo": lambda side, part: f"mixamorig:{CONVENTIONS['CMU'](side, part)}",
    "MotionBuilder": lambda side, part: f"Character1_{CONVENTIONS['CMU'](side, part)}",
    "Rokoko": lambda side, part: side + {
        "upleg": "Thigh", "leg": "Shin", "foot": "Foot", "arm": "Arm", "forearm": "ForeArm", "hand": "Hand",
    }[part],
    "Xsens": lambda side, part: side + {
        "upleg": "UpperLeg", "leg": "LowerLeg", "foot": "Foot", "arm": "UpperArm", "forearm": "ForeArm", "hand": "Hand",
    }[part],
    "SMPL": lambda side, part: f"{side[0]}_" + {
        "upleg": "Hip", "leg": "Knee", "foot": "Ankle", "arm": "Shoulder", "forearm": "Elbow", "hand": "Wrist",
    }[part],
    "Biped": lambda side, part: f"Bip01 {side[0]} " + {
        "upleg": "Thigh", "leg": "Calf", "foot": "Foot", "arm": "UpperArm", "forearm": "Forearm", "hand": "Hand",
    }[part],
    "Unreal": lambda side, part: {
        "upleg": "thigh", "leg": "calf", "foot": "foot", "arm": "upperarm", "forearm": "lowerarm", "hand": "hand",
    }[part] + f"_{side[0].lower()}",
    "Blender": lambda side, part: "DEF-" + {
        "upleg": "thigh", "leg": "shin", "foot": "foot", "arm": "upper_arm", "forearm": "forearm", "hand": "hand",
    }[part] + f".{side[0]}",
}  # fmt: skip


def skeleton_text(
    named: Named = CONVENTIONS["CMU"], order: str = TURNS, collars: bool = True, z_up: bool = False
) -> str:
    """A standing person of 1.5 m to the neck, arms to the sides; every joint has three rotations."""

    def point(x: float, y: float, z: float) -> str:
        return f"OFFSET {x} {-z} {y}" if z_up else f"OFFSET {x} {y} {z}"

    lines = ["HIERARCHY", "ROOT Hips", "{", point(0, 0, 0)]
    lines += [f"CHANNELS 6 Xposition Yposition Zposition {order}"]

    def chain(side: str, parts: list[tuple[str, str, tuple[int, int, int]]]) -> None:
        sign = 1 if side == "Left" else -1
        for part, _, (x, y, z) in parts:
            lines.extend([f"JOINT {named(side, part)}", "{", point(sign * x, y, z)])
            lines.append(f"CHANNELS 3 {order}")
        lines.extend(["End Site", "{", point(0, -5, 0), "}"])
        lines.extend("}" for _ in parts)

    chain("Left", BODY[:3])
    chain("Right", BODY[:3])
    lines += ["JOINT Spine {", point(0, 0, 0), f"CHANNELS 3 {order}"]
    lines += ["JOINT Head {", point(0, 60, 0), f"CHANNELS 3 {order}", "}"]
    for side in ("Left", "Right"):
        if collars:
            lines += [f"JOINT {side}Shoulder", "{", point(0, 0, 0), f"CHANNELS 3 {order}"]
        chain(side, BODY[3:])
        lines += ["}"] if collars else []
    return "\n".join([*lines, "}", "}", ""])


def channels_of(text: str) -> list[str]:
    """The joint's name and the channel of every number of a frame."""
    found, name = [], ""
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word in ("ROOT", "JOINT"):
            name = rest.removesuffix(" {")
        elif word == "CHANNELS":
            found += [f"{name} {channel}" for channel in rest.split()[1:]]
    return found


def bvh(text: str, *frames: dict[str, float], frame_s: float = 1 / 30) -> str:
    """A file of these frames; what a frame doesn't name is 0."""
    columns = channels_of(text)
    for frame in frames:
        assert set(frame) <= {*columns}, set(frame) - {*columns}
    rows = [" ".join(str(float(frame.get(each, 0))) for each in columns) for frame in frames]
    return (
        "\n".join([text + "MOTION", f"Frames: {len(rows)}", f"Frame Time: {frame_s}", *rows]) + "\n"
    )
