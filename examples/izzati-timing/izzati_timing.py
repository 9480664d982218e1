"""How long each call took, told to whoever called: browsers' developer tools show it beside the request."""

import time

from izzati import hookimpl


class Timing:
    """Adds the header ``Server-Timing`` (W3C) to every answer of a callback.

    :param name: what the tools call it.
    """

    def __init__(self, name: str = "callback"):
        self._name = name

    @hookimpl(wrapper=True)
    def izzati_call(self, call):
        begun = time.perf_counter()
        try:
            return (yield)
        finally:
            call.request.state["timing"] = time.perf_counter() - begun

    @hookimpl
    def izzati_finalize(self, response, request):
        seconds = request.state.get("timing")
        if seconds is not None:
            response.headers.add("Server-Timing", f"{self._name};dur={seconds * 1000:.1f}")
