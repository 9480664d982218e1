"""The fixtures ``cluster``, one for all tests, and ``start``, which runs functions in it."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest
from helpers import SECONDS
from izzati_ray import Ray
from nodes import two_nodes

from izzati import BackgroundOptions

pytest_plugins = ["izzati.testing"]

# The programs that these tests start use this plugin, whatever else is installed beside it.
os.environ["IZZATI_BLOCK"] = ",".join(entry.name for entry in entry_points(group="izzati") if entry.name != "ray")

NO_CLUSTER = None
if sys.platform != "linux":
    NO_CLUSTER = "these tests start nodes at several loopback addresses and look for their processes, as on Linux alone"
elif find_spec("ray") is None:
    NO_CLUSTER = "ray has no build for this system and this Python"


@pytest.fixture(scope="session")
def cluster():
    if NO_CLUSTER is not None:
        pytest.skip(NO_CLUSTER)
    with two_nodes() as made, pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        yield made


@pytest.fixture
def start(cluster):
    """``start(target, *args, name=None, …)`` runs it in the cluster, and ends it with the test."""
    plugin = Ray(cluster.address)
    started = []

    def run(target, *args, name=None, restart=False, maxsize=0, forgotten=False, **resources):
        options = BackgroundOptions(name=name, restart=restart, maxsize=maxsize, resources=resources)
        handles = plugin.izzati_background(target=target, args=args, kwargs={}, options=options)
        if not forgotten:
            started.append(handles[0])
        return handles

    yield run
    for process in started:
        process.kill()
    for process in started:
        process.join(SECONDS)
        assert not process.is_alive()
