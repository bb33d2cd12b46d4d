"""What a checkout weighs: it must be possible to copy it whole to a machine without network."""

from __future__ import annotations

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
WEIGHTS = REPOSITORY / "poseanimate" / "pocket" / "weights"


def test_the_tracked_files_stay_under_60_mb() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, text=True
    ).stdout
    files = [REPOSITORY / name for name in listed.split("\0") if name]
    assert len(files) > 100
    assert sum(path.stat().st_size for path in files if path.is_file()) < 60_000_000


def test_the_weights_stay_under_40_mb_in_files_under_9_mb() -> None:
    sizes = [path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()]
    assert 1_000_000 < sum(sizes) < 40_000_000
    assert max(sizes) < 9_000_000
