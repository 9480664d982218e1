"""pytest fixtures: a Backend that really serves, and a plugin that is installed for one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from izzati.backend import Backend
from izzati.testing.served import Served, serving

__all__ = ["serve"]


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """``serve(callback, …)`` serves a callback, or a dict of them, on a free port, until the test ends.

    Arguments are the Backend's. Of installed plugins none is used unless ``only`` names it.
    """
    with ExitStack() as stack:

        def start(callback: Any, *args: Any, host: str = "127.0.0.1", **kwargs: Any) -> Served:
            return stack.enter_context(serving(Backend(callback, *args, **kwargs), host))

        yield start
