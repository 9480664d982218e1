"""Environments of their own for what is compared, each with the newest releases of what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["installed"]


def installed(packages: Sequence[str], folder: Path) -> Path:
    """The folder with the programs of an environment that has these packages.

    :param packages: as pip takes them.
    :param folder: where the environment is made; one that is there already is kept, and what pip would do is not.
    :raises subprocess.CalledProcessError: if one of them cannot be had.
    """
    environment = folder / "environment"
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    marker = environment / "complete"
    if not marker.exists():
        # Without a pip of its own, which takes longer to install than most of what is compared.
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", environment], check=True)
        if packages:
            pip = [sys.executable, "-m", "pip", "--python", programs / "python", "--disable-pip-version-check"]
            subprocess.run([*pip, "install", "--quiet", "--no-input", *packages], check=True)
        marker.touch()
    return programs
