"""izzati with izzati-auth, izzati-msgpack and a plugin that wraps the call of the callback."""

import time

from jobs import JOBS
from peers.izzati_2 import CALLBACKS

from izzati import Backend, hookimpl


class Timed:
    """Counts how long callbacks take."""

    def __init__(self):
        self.seconds = 0.0

    @hookimpl(wrapper=True)
    def izzati_call(self, call):
        begin = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds += time.perf_counter() - begin


TOKEN = dict(JOBS["plugins"].headers)["Authorization"].removeprefix("Bearer ")

app = Backend(CALLBACKS, plugins=[Timed()], only=["auth", "msgpack"], options={"auth": {"tokens": [TOKEN]}})
