"""What izzati costs before the first request: its import, and a Backend among many installed distributions.

    python tests/benchmarks/start_benchmark.py [ROUNDS]

Each round measures each in a new process, in turn; printed are medians, and medians of the differences within a round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

DISTRIBUTIONS = 100

BARE = "import werkzeug, pluggy, h11"
IMPORT = "import izzati"
BACKEND = "from izzati import Backend; Backend(lambda text, data: {}, only=())"


def milliseconds(code, path=None):
    """How long the code takes in a Python of its own, from its first line on."""
    timed = f"import time; begin = time.perf_counter()\n{code}\nprint(time.perf_counter() - begin)"
    environment = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or some modules would be compiled each time
    done = subprocess.run([sys.executable, "-c", timed], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout) * 1000


def install_many(site):
    """What pip leaves of a distribution that has nothing to do with izzati, many times."""
    for number in range(DISTRIBUTIONS):
        info = site / f"unrelated_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: unrelated-{number}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[console_scripts]\nunrelated{number} = unrelated{number}:main\n")


def main(rounds):
    with tempfile.TemporaryDirectory() as folder:
        install_many(Path(folder))
        for code in (BARE, IMPORT, BACKEND):
            milliseconds(code)  # so that everything has been compiled
        measured = [
            (milliseconds(BARE), milliseconds(IMPORT), milliseconds(BACKEND), milliseconds(BACKEND, folder))
            for _ in range(rounds)
        ]
    bare, izzati, backend, among_many = zip(*measured, strict=True)
    for name, figures, than in (
        (BARE, bare, bare),
        (IMPORT, izzati, bare),
        ("a Backend", backend, izzati),
        (f"a Backend, {DISTRIBUTIONS} more distributions", among_many, backend),
    ):
        more = statistics.median(one - other for one, other in zip(figures, than, strict=True))
        print(f"{name:<44} {statistics.median(figures):7.1f} ms   {more:+7.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
