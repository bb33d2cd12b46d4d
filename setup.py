"""Puts the folders beside the package inside the one that is installed; the rest is in pyproject.toml."""

from setuptools import find_packages, setup

DATA = ("presets", "examples")

setup(
    packages=[*find_packages(include=["poseanimate*"]), *(f"poseanimate.{name}" for name in DATA)],
    package_dir={f"poseanimate.{name}": name for name in DATA},
)
