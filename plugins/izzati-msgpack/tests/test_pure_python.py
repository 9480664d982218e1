"""msgpack's own code in pure Python, which reads where its extension must not or cannot, reads as strictly."""

import os
import subprocess
import sys
from pathlib import Path


def test_hostile_bodies_meet_the_same_refusals_there():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_hostile.py"]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "MSGPACK_PUREPYTHON": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
