"""Fixtures: a Backend that really serves, and records what arrives."""

from __future__ import annotations

import pytest

pytest_plugins = ["izzati.testing"]


@pytest.fixture
def recorder(serve):
    """Serve a callback that keeps what it got, with each file read whole; ``recorder.calls`` has it."""
    calls = []

    def callback(text, data):
        calls.append((text, [(file.name, file.filename, file.content_type, file.read()) for file in data]))
        return {"status": "yes"}

    served = serve(callback)
    served.calls = calls
    return served
