"""The two decorators that make a function a hook's implementation, or its specification."""

import pluggy

__all__ = ["hookimpl", "hookspec"]

hookimpl = pluggy.HookimplMarker("izzati")
"""Marks a function as an implementation of the hook of the same name. pluggy's options apply, ``wrapper=True`` too."""

hookspec = pluggy.HookspecMarker("izzati")
