"""``GET /healthz``: whether the server answers."""

from __future__ import annotations

from izzati import Problem, hookimpl


class Refusing:
    """A plugin for tests that lets nobody in."""

    @hookimpl
    def izzati_identify(self, request):
        raise Problem(403, "Not you.")


def test_it_answers_without_the_callback_and_without_credentials(serve):
    calls = []
    served = serve(lambda text, data: calls.append(text), plugins=[Refusing()])
    answer = served.request(method="GET", path="/healthz")
    assert (answer.status, answer.body, answer.headers["Cache-Control"]) == (200, b"OK\n", "no-store")
    assert served.request(method="HEAD", path="/healthz").status == 200
    assert served.request(method="GET", path="/").status == 403
    assert calls == []


def test_it_can_be_elsewhere_or_nowhere(serve):
    elsewhere = serve(lambda text, data: {}, options={"health": {"path": "/up"}})
    assert elsewhere.request(method="GET", path="/up").status == 200
    assert elsewhere.request(method="GET", path="/healthz").status == 404
    assert serve(lambda text, data: {}, block=["health"]).request(method="GET", path="/healthz").status == 404
