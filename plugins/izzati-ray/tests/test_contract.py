"""The contract of plugins for background work, on a cluster of two nodes."""

from __future__ import annotations

import pytest
from izzati_ray import Ray

from izzati.testing import BackgroundSuite


class TestRay(BackgroundSuite):
    @pytest.fixture
    def plugin(self, cluster):
        return Ray(cluster.address)
