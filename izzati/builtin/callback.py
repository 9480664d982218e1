"""Running the callback: the last to answer ``izzati_call``."""

from __future__ import annotations

from typing import Any

from izzati import Call, hookimpl

__all__ = ["RunCallback"]


class RunCallback:
    """Makes the call, unless a plugin that was asked before has made it and got None, which looks like declining."""

    @hookimpl(trylast=True)
    def izzati_call(self, call: Call) -> Any:
        return call.result if call.made else call()
