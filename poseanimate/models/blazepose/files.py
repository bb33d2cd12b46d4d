"""Where BlazePose's networks come from: a pinned wheel. `python -m` of this module fetches them.

Notable: the package itself is never installed, since it wants an older numpy and another build of OpenCV.
"""

from __future__ import annotations

import sys

from poseanimate.errors import ModelsError
from poseanimate.models.wheel import Member, Wheel, fetch_members

PEOPLE, LANDMARKS, SELFIE = (
    "pose_detection.tflite",
    "pose_landmark_full.tflite",
    "selfie_segmentation.tflite",
)
MEDIAPIPE = Wheel(
    name="mediapipe",
    version="0.10.21",
    sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    size=35_622_638,
    python="3.11",
    abi="cp311",
    platform="manylinux_2_28_x86_64",
    members={
        PEOPLE: Member(
            f"mediapipe/modules/pose_detection/{PEOPLE}",
            2_959_046,
            "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        ),
        LANDMARKS: Member(
            f"mediapipe/modules/pose_landmark/{LANDMARKS}",
            6_440_512,
            "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        ),
        SELFIE: Member(
            f"mediapipe/modules/selfie_segmentation/{SELFIE}",
            249_505,
            "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
        ),
        "LICENSE": Member(  # Apache 2.0; the wheel holds no NOTICE
            "mediapipe-0.10.21.dist-info/LICENSE",
            12_331,
            "8707eef0533987efc5b155d64761eeb6e20793f50b9bd1a68dad1cf4719d0ed8",
        ),
    },
)


def main() -> int:
    """Fetches the networks; the exit status."""
    try:
        fetch_members(MEDIAPIPE, on_message=print)
    except ModelsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
