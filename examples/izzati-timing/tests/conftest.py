"""The fixtures ``serve`` and ``install``."""

pytest_plugins = ["izzati.testing"]
