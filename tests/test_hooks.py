"""A test for each hook, named after it: when it is asked, and what its answer means."""

from __future__ import annotations

import io
import re
import threading
from functools import partial
from pathlib import Path

import pytest
from helpers import SECONDS
from werkzeug.test import Client
from werkzeug.wrappers import Response

from izzati import (
    NULL,
    Backend,
    BackgroundOptions,
    Claims,
    Content,
    Identity,
    Limits,
    Problem,
    Reply,
    Route,
    Sink,
    StoredFile,
    file_return,
    hookimpl,
    hookspecs,
)

JSON = {"Content-Type": "application/json"}
PLUGINS = Path(__file__).parent.parent / "plugins"


def plugin(**hooks):
    """An object that implements these hooks."""
    return type("Plugin", (), {name: staticmethod(hookimpl(function)) for name, function in hooks.items()})()


def test_every_hook_has_a_test_named_after_it():
    hooks = {name for name in vars(hookspecs) if name.startswith("izzati_")}
    assert hooks == {name.removeprefix("test_") for name in globals() if name.startswith("test_izzati_")}


def test_every_hook_has_a_plugin_here_that_uses_it():
    used = set()
    for built_in in Backend(lambda text, data: {}).plugins.by_name.values():
        used |= {name for name in dir(built_in) if name.startswith("izzati_")}
    for source in PLUGINS.glob("*/izzati_*/*.py"):
        used |= set(re.findall(r"def (izzati_\w+)", source.read_text("utf-8")))
    assert {name for name in vars(hookspecs) if name.startswith("izzati_")} - used == set()


def test_izzati_claims(serve):
    codec = plugin(
        izzati_claims=lambda: Claims(reads=("text/x-pair",), writes=("text/x-pair",), challenges=("Pair",)),
        izzati_decode=lambda body, media_type: {"a": body.decode()} if media_type == "text/x-pair" else None,
        izzati_encode=lambda value, media_type: b"pair" if media_type == "text/x-pair" else None,
    )
    served = serve(lambda text, data: text, plugins=[codec])
    assert served.request(b"x", {"Content-Type": "text/x-pair", "Accept": "application/json"}).json == {"a": "x"}
    assert served.request(b"x", {"Content-Type": "text/x-pair"}).body == b"pair"
    assert "text/x-pair" in served.request(b"x", {"Content-Type": "application/cbor"}).json["readable"]


def test_izzati_routes(serve):
    seen = []

    def izzati_routes(backend):
        seen.append(backend)
        return [
            Route("/hello/<name>", lambda request: Response(f"hello {request.variables['name']}")),
            Route("/open", lambda request: Response("open"), methods=("GET", "PUT"), public=True),
        ]

    served = serve(lambda text, data: "called", plugins=[plugin(izzati_routes=izzati_routes)])
    assert seen == [served.backend]
    assert served.request(method="GET", path="/hello/Rex").body == b"hello Rex"
    assert served.request(method="PUT", path="/open").body == b"open"
    assert served.request().json == "called"


def test_a_plugin_learns_from_the_backend_what_it_serves():
    def caption(model, text, data, size):
        """Say what is on a photo.

        In one sentence.
        """

    learned = {}

    def izzati_routes(backend):
        learned["functions"] = {path: (each.name, each.description) for path, each in backend.callbacks.items()}
        learned["asks for the request"] = [path for path, each in backend.callbacks.items() if each.wants_request]
        learned["reads"], learned["writes"] = dict(backend.codecs.readers), dict(backend.codecs.writers)
        learned["limit"], learned["challenges"] = backend.limits.parts, backend.challenges
        return []

    claims = Claims(reads=("text/x-pair",), challenges=('Pair realm="a"', "Other"))
    functions = {
        "/": lambda text, data, *, request: {},
        "/caption/<name>": partial(partial(caption, "model"), size=3),
    }
    hooks = plugin(izzati_routes=izzati_routes, izzati_claims=lambda: claims)
    Backend(functions, plugins=[hooks], limits=Limits(parts=7), only=[])
    assert learned == {
        "functions": {
            "/": ("callback", ""),
            "/caption/<name>": ("caption", "Say what is on a photo.\n\nIn one sentence."),
        },
        "asks for the request": ["/"],
        "reads": {
            "text/x-pair": "Plugin",
            "application/x-www-form-urlencoded": "forms",
            "multipart/form-data": "forms",
            "application/json": "json",
            "*+json": "json",
        },
        "writes": {"application/json": "json"},
        "limit": 7,
        "challenges": ('Pair realm="a"', "Other"),
    }


def test_izzati_startup(serve):
    seen = []
    served = serve(
        lambda text, data: {},
        plugins=[plugin(izzati_startup=lambda backend, listen: seen.append((backend, listen.host)))],
    )
    assert seen == [(served.backend, "127.0.0.1")]


def test_izzati_serve():
    served = []

    class Server:
        address = ("nowhere", 7)

        def __init__(self, app, listen):
            served.append((app, listen.host, listen.port))

        def serve(self, ready):
            ready()
            served.append("until stopped")

        def stop(self):
            raise AssertionError

    backend = Backend(lambda text, data: {}, plugins=[plugin(izzati_serve=Server)])
    backend.run("localhost", 7)
    assert served == [(backend, "localhost", 7), "until stopped"]
    with pytest.raises(RuntimeError, match="no plugin serves"):
        Backend(lambda text, data: {}, block=["server"]).run()


def test_izzati_background():
    class Elsewhere:
        @hookimpl
        def izzati_background(self, target, args, kwargs, options):
            args[-1].send(None)  # what the server's process does once it serves
            return args[:2], options

    class Declines:
        @hookimpl
        def izzati_background(self, options):
            assert options.local

    backend = Backend(lambda q, text, data: {}, background=True, plugins=[Declines(), Elsewhere()])
    assert backend.run("localhost", 7) == (("localhost", 7), BackgroundOptions(local=True))


def test_izzati_admit(serve):
    def izzati_admit(request):
        assert request.body.received == 0
        if "early" in request.query:
            return Response("early")
        if "no" in request.query:
            raise Problem(403, "No.")
        return None

    def izzati_identify(request):
        raise Problem(401, "Who?")

    served = serve(lambda text, data: {}, plugins=[plugin(izzati_admit=izzati_admit, izzati_identify=izzati_identify)])
    assert served.request(path="/?early").body == b"early"
    assert served.request(path="/?no").status == 403
    assert served.request(path="/").status == 401


def test_what_izzati_admit_changes_in_the_environment_counts(serve):
    def izzati_admit(request):
        request.environ["PATH_INFO"] = request.environ["PATH_INFO"].removeprefix("/app")
        request.environ["CONTENT_TYPE"] = "application/json"

    served = serve({"/dogs": lambda text, data: text}, plugins=[plugin(izzati_admit=izzati_admit)])
    answer = served.request(b'{"name": "Rex"}', {"Content-Type": "text/json"}, path="/app/dogs")
    assert (answer.status, answer.json) == (200, {"name": "Rex"})


def test_izzati_identify(serve):
    def izzati_identify(request):
        token = request.headers.get("Authorization")
        if token == "wrong":
            raise Problem(403, "Wrong.")
        return Identity(token, {"role": "dog"}) if token else None

    auth = plugin(
        izzati_identify=izzati_identify,
        izzati_claims=lambda: Claims(challenges=('Bearer realm="izzati"', "Basic")),
        izzati_routes=lambda: [
            Route("/public", lambda request: Response(str(request.identity)), public=True),
            Route("/private", lambda request: Response(request.identity.name)),
        ],
    )
    served = serve(lambda text, data, *, request: [request.identity.name, request.identity.attributes], plugins=[auth])
    assert served.request(headers={"Authorization": "ann"}).json == ["ann", {"role": "dog"}]
    assert served.request(headers={"Authorization": "wrong"}).status == 403
    nobody = served.request()
    assert (nobody.status, nobody.headers["WWW-Authenticate"]) == (401, 'Bearer realm="izzati", Basic')
    assert served.request(path="/no/such/path").status == 401  # strangers do not learn which paths exist
    assert served.request(method="GET", path="/public").body == b"None"
    assert served.request(method="GET", path="/private").status == 401
    assert served.request(method="GET", path="/private", headers={"Authorization": "ann"}).body == b"ann"


@pytest.mark.parametrize("answer", [True, False, "", "ann", ("ann",)])
def test_nothing_but_an_identity_lets_anybody_in(serve, caplog, answer):
    served = serve(lambda text, data: pytest.fail("it was called"), plugins=[plugin(izzati_identify=lambda: answer)])
    assert served.request().status == 500
    assert "it must give an izzati.Identity, or None to decline" in caplog.text


def test_izzati_read(serve):
    def izzati_read(request):
        if request.media_type != "text/x-lines":
            return None
        lines = request.body.whole().split(b"\n")
        upload = request.receive("lines.txt", "lines", "text/plain")
        upload.write(b"first line: " + lines[0])
        return Content({"lines": len(lines)}, [upload])

    served = serve(
        lambda text, data: [text, [(file.filename, file.name, file.read().decode()) for file in data]],
        plugins=[plugin(izzati_read=izzati_read)],
    )
    answer = served.request(b"a\nb", {"Content-Type": "text/x-lines"})
    assert answer.json == [{"lines": 2}, [["lines.txt", "lines", "first line: a"]]]
    assert served.request(b"x", {"Content-Type": "text/plain"}).json[1][0][2] == "x"


def test_izzati_decode(serve):
    def izzati_decode(body, media_type, request):
        if body == b"nothing":
            return None
        assert request.limits.depth == 100
        return {b"null": NULL, b"empty": {}, b"false": False}[body]

    codec = plugin(izzati_decode=izzati_decode, izzati_claims=lambda: Claims(reads=("text/x-word",)))
    served = serve(lambda text, data: text, plugins=[codec])
    words = {"Content-Type": "text/x-word"}
    assert served.request(b"empty", words).json == {}
    assert "is null" in served.request(b"null", words).json["detail"]
    assert "is a truth value" in served.request(b"false", words).json["detail"]
    assert served.request(b"nothing", words).status == 415


def test_izzati_store(serve):
    class Kept(Sink):
        def __init__(self):
            self.data = b""

        def write(self, data):
            self.data += data

        def commit(self):
            self.data += b"!"

        def abort(self):
            raise AssertionError

        def open(self):
            return io.BytesIO(self.data)

    seen = []

    def izzati_store(upload, request):
        seen.append((upload.filename, upload.content_type, upload.size, request.method))
        return Kept()

    served = serve(lambda text, data: data[0].read().decode(), plugins=[plugin(izzati_store=izzati_store)])
    assert served.request(b"abc", {"Content-Type": "image/png"}).json == "abc!"
    assert seen == [("", "image/png", 0, "POST")]


def test_izzati_call(serve):
    calls = []

    def callback(text, data):
        calls.append(text)

    def izzati_call(call):
        call.text = {**call.text, "added": 1}
        if "take over" in call.text:
            return Reply("taken over", status=202)
        return call() if "call" in call.text else None

    served = serve(callback, plugins=[plugin(izzati_call=izzati_call)])
    assert served.request(path="/?take+over").status == 202
    assert served.request(path="/?call").json is None  # its None looks like declining, yet it ran once
    assert served.request(path="/?a").json is None
    assert calls == [{"call": "", "added": 1}, {"a": "", "added": 1}]


def test_a_call_that_is_made_later_keeps_its_uploads_until_they_are_released(serve, tmp_path):
    kept = []

    def izzati_call(call):
        kept.append((call, call.keep()))
        return "later"

    served = serve(
        lambda text, data: data[0].read(),
        plugins=[plugin(izzati_call=izzati_call)],
        options={"spool": {"folder": str(tmp_path), "memory": 1}},
    )
    assert served.request(b"a photo", {"Content-Type": "image/png"}).json == "later"
    call, release = kept[0]
    assert call() == b"a photo"
    release()
    with pytest.raises(ValueError, match="ended with its request"):
        call()


def test_a_call_can_be_wrapped(serve):
    class Wrapping:
        @hookimpl(wrapper=True)
        def izzati_call(self, call):
            try:
                result = yield
            except ZeroDivisionError:
                return "caught"
            return [result, "wrapped"]

    served = serve({"/": lambda text, data: "plain", "/bad": lambda text, data: 1 / 0}, plugins=[Wrapping()])
    assert served.request().json == ["plain", "wrapped"]
    assert served.request(path="/bad").json == "caught"


def test_izzati_render(serve):
    def izzati_render(result, request):
        return Response(f"<{result}> for {request.method}") if isinstance(result, complex) else None

    served = serve(
        lambda text, data: Reply(1j, status=201) if text else {}, plugins=[plugin(izzati_render=izzati_render)]
    )
    answer = served.request(path="/?a")
    assert (answer.status, answer.body) == (201, b"<1j> for POST")
    assert served.request().json == {}


def test_izzati_encode(serve, caplog):
    codec = plugin(
        izzati_encode=lambda value, media_type: b"" if media_type == "text/x-nothing" else None,
        izzati_claims=lambda: Claims(writes=("text/x-nothing", "text/x-declined")),
    )
    served = serve(lambda text, data: {}, plugins=[codec])
    answer = served.request(headers={"Accept": "text/x-nothing"})
    assert (answer.status, answer.body) == (200, b"")
    assert served.request(headers={"Accept": "text/x-declined"}).status == 500
    assert "claims to write text/x-declined declined" in caplog.text


def test_izzati_error(serve, caplog):
    def izzati_error(error, request):
        if isinstance(error, ZeroDivisionError):
            return Response(f"sorry, {request.id}", status=503)
        if isinstance(error, LookupError):
            raise OverflowError
        return None

    served = serve(
        {"/zero": lambda text, data: 1 / 0, "/key": lambda text, data: {}["a"], "/no": lambda text, data: data.no},
        plugins=[plugin(izzati_error=izzati_error)],
    )
    answer = served.request(path="/zero")
    assert (answer.status, answer.body.decode()) == (503, f"sorry, {answer.headers['X-Request-Id']}")
    assert served.request(path="/no").json["status"] == 500
    failed = served.request(path="/key")
    assert (failed.status, failed.headers["Content-Type"]) == (500, "application/problem+json")
    assert "its error could not be told" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_izzati_finalize(serve, caplog):
    def izzati_finalize(response, request):
        response.headers["X-Seen"] = f"{request.method} {response.status_code}"
        if "fail" in request.query:
            raise OverflowError

    served = serve(lambda text, data: {}, plugins=[plugin(izzati_finalize=izzati_finalize)])
    assert served.request().headers["X-Seen"] == "POST 200"
    assert served.request(path="/no").headers["X-Seen"] == "POST 404"
    assert served.request(b"{", JSON).headers["X-Seen"] == "POST 400"
    failed = served.request(path="/?fail")
    assert (failed.status, failed.headers["X-Seen"]) == (500, None)
    assert "OverflowError" in caplog.text


def test_what_izzati_finalize_does_to_an_encoded_value_counts(serve):
    closed = threading.Event()

    def izzati_finalize(response, request):
        if request.path == "/closed":
            response.call_on_close(closed.set)
        if request.path == "/replaced":
            response.data = b"[2]"
        if request.path == "/streamed":
            response.response = (bytes([byte]) for byte in b"[3]")
        if request.path == "/pieces":
            response.response = [b"[", b"4", b"]"]
        if request.path == "/elsewhere":
            response.headers["Location"] = "/größe"
        if request.path == "/nothing":
            response.status_code = 204

    paths = ("/closed", "/replaced", "/streamed", "/pieces", "/elsewhere", "/nothing")
    served = serve(dict.fromkeys(paths, lambda text, data: [1]), plugins=[plugin(izzati_finalize=izzati_finalize)])
    answers = [served.request(path=path) for path in paths]
    assert [answer.body for answer in answers] == [b"[1]", b"[2]", b"[3]", b"[4]", b"[1]", b""]
    assert [answer.headers["Content-Length"] for answer in answers] == ["3", "3", None, "3", "3", None]
    assert answers[4].headers["Location"] == "/gr%C3%B6%C3%9Fe"
    assert closed.wait(SECONDS)


def test_a_rendered_value_has_no_body_where_head_was_asked_for():
    class Value:
        @hookimpl
        def izzati_routes(self, backend):
            return [Route("/value", lambda request: backend.render([1], request), methods=("GET", "HEAD"))]

    caller = Client(Backend(lambda text, data: {}, plugins=[Value()], only=()))
    answers = [caller.open("/value", method=method) for method in ("GET", "HEAD")]
    assert [(answer.data, answer.headers["Content-Length"]) for answer in answers] == [(b"[1]", "3"), (b"", "3")]


def test_izzati_open(serve):
    def izzati_open(location):
        if location.startswith("memory://"):
            return StoredFile(io.BytesIO(b"from memory"), "m.txt", modified=0.0)
        return None

    served = serve(lambda text, data: file_return("memory://x"), plugins=[plugin(izzati_open=izzati_open)])
    answer = served.request()
    assert (answer.body, answer.headers["Content-Type"]) == (b"from memory", "text/plain")
    assert answer.headers["Last-Modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert answer.headers["Transfer-Encoding"] == "chunked"


def test_izzati_save(serve):
    kept = {}

    def izzati_save(file, location):
        if location.startswith("memory://"):
            kept[location] = file.read()
            return location
        return None

    served = serve(lambda text, data: data[0].save("memory://x"), plugins=[plugin(izzati_save=izzati_save)])
    assert served.request(b"abc", {"Content-Type": "image/png"}).json == "memory://x"
    assert kept == {"memory://x": b"abc"}
