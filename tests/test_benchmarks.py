"""The benchmarks run, and print what they promise; how fast anything is, no test can tell."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

BENCHMARKS = Path(__file__).parent / "benchmarks"


def test_the_queue_benchmark_prints_a_table_of_medians_and_ratios():
    few = ["--rounds", "2", "--items", "50", "--trips", "20"]
    command = [sys.executable, "-W", "error", BENCHMARKS / "queue_benchmark.py", *few]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows, note = done.stdout.splitlines()
    assert head.split() == ["median", "of", "2", "rounds", "izzati", "multiprocessing", "ratio"]
    assert [row[:28].strip() for row in rows] == ["items a second", "microseconds a round trip"]
    for row in rows:
        assert re.fullmatch(r" +[\d,]+ +[\d,]+ +\d+\.\d\d", row[28:])
    assert note == "The ratio is the median of those of each round."


def test_the_start_benchmark_prints_what_each_step_adds():
    command = [sys.executable, "-W", "error", BENCHMARKS / "start_benchmark.py", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = done.stdout.splitlines()
    assert [row[:44].strip() for row in rows] == [
        "import werkzeug, pluggy, h11",
        "import izzati",
        "a Backend",
        "a Backend, 100 more distributions",
    ]
    assert all(re.fullmatch(r" +\d+\.\d ms +[+-]\d+\.\d ms", row[44:]) for row in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_the_serving_benchmark_prints_a_table_for_each_task():
    few = ["--rounds", "1", "--megabytes", "1", "--connections", "--only", "izzati", "waitress", "gunicorn"]
    command = [sys.executable, "-W", "error", BENCHMARKS / "serving_benchmark.py", *few]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    tables = [table.splitlines() for table in done.stdout.strip().split("\n\n")]
    assert [[row[:28].strip() for row in table] for table in tables] == [
        ["upload, 1 MiB", "izzati", "waitress"],
        ["download, 1 MiB", "izzati", "gunicorn"],
        ["start", "izzati", "waitress"],
    ]
    for _, *rows in tables:
        for row in rows:
            assert all(float(figure.replace(",", "")) >= 0 for figure in row[28:].split())


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_short_soak_leaves_no_descriptor_and_no_file_and_everybody_is_answered():
    command = [sys.executable, "-W", "error", BENCHMARKS / "soak.py", "--seconds", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    head, *rows, last = done.stdout.splitlines()
    assert head.split() == ["seconds", "requests", "MB", "descriptors"]
    assert len(rows) == 4
    # How much memory it grew by tells nothing as long as it is getting warm.
    left = r"left: 0 descriptors, 0 files; grown by .* MB; 0 not answered, 0 tracebacks in the log"
    assert re.fullmatch(left, last), last


def test_the_hostile_comparison_prints_in_how_many_cases_the_rule_was_kept():
    few = ["--here", "--only", "izzati", "--every", "100"]
    command = [sys.executable, "-W", "error", BENCHMARKS / "hostile_comparison.py", *few]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split()[-2:] == ["of", "izzati"]
    assert rows[-1].split() == ["all", "10", "10"]


def test_the_framework_benchmark_prints_a_table_for_each_job_and_says_who_is_not_compared():
    few = ["--here", "--rounds", "1", "--seconds", "0.001", "--jobs", "json", "plugins", "form", "upload", "file"]
    some = ["--only", "bare WSGI", "izzati", "izzati, with plugins", "Werkzeug", "izzati 1.2.3", "nothing"]
    command = [sys.executable, "-W", "error", BENCHMARKS / "framework_benchmark.py", *few, *some]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    before, *tables, goals = done.stdout.split("\n\n")
    assert re.search(r"^not compared: izzati 1\.2\.3 \(.+\)$", before, re.MULTILINE)
    names = {table[:42].strip(): {row[:42].strip() for row in table.splitlines()[1:]} for table in tables}
    assert names.pop("JSON, with auth, msgpack and a wrapper") == {"bare WSGI", "izzati, with plugins"}
    assert list(names) == [
        "200 bytes of JSON",
        "form of three fields",
        "multipart, two fields and 1 MiB",
        "1 MiB file out",
    ]
    assert all(its == {"bare WSGI", "izzati", "Werkzeug", "nothing"} for its in names.values())
    goal = r"^200 bytes of JSON: \d+\.\d\d x bare WSGI, at most 1\.3 is wanted: (not )?met$"
    assert re.search(goal, goals, re.MULTILINE), goals


def test_the_framework_benchmark_goes_on_without_what_cannot_be_downloaded(tmp_path):
    few = ["--only", "nothing", "Falcon", "--jobs", "json", "--rounds", "1", "--seconds", "0.001"]
    command = [sys.executable, "-W", "error", BENCHMARKS / "framework_benchmark.py", *few]
    nowhere = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = subprocess.run(command, env=nowhere, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    before, table, _ = done.stdout.split("\n\n")
    assert before == "not compared: Falcon, which cannot be downloaded"
    assert table.splitlines()[1].startswith("nothing ")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_the_growth_benchmark_prints_and_draws_a_panel_for_each_thing_that_grows(tmp_path):
    drawing = importlib.util.find_spec("matplotlib") is not None  # not where tox runs it
    few = ["--rounds", "1", "--plugins", "5", "--kilobytes", "4", "--parts", "1", "--callers", "1", "--answers", "10"]
    plot = ["--plot", tmp_path / "growth.svg"] if drawing else []
    command = [sys.executable, "-W", "error", BENCHMARKS / "growth_benchmark.py", *few, *plot]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr  # matplotlib may have said that it looks for fonts
    panels = [panel.splitlines() for panel in done.stdout.strip().split("\n\n")]
    assert [(head[:52].strip(), head[52:].split()) for head, *_ in panels] == [
        ("plugins", ["0", "5"]),
        ("upload, one file", ["1", "4"]),
        ("parts of a form", ["1"]),
        ("callers at once, of the built-in server", ["1"]),
    ]
    for head, *rows in panels:
        for row in rows:
            assert len([float(figure.replace(",", "")) for figure in row[52:].split()]) == len(head[52:].split())
    if drawing:
        drawn = (tmp_path / "growth.svg").read_text()
        assert all(f">{head[:52].strip()}<" in drawn for head, *_ in panels)
