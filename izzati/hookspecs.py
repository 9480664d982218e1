"""Every hook: what it is asked, when, and what its answer means.

A request's way: ``admit``, ``identify``, ``read`` (which asks ``decode`` and ``store``), ``call``, ``render`` or else
``encode``. Any of them may refuse by raising a :class:`~izzati.Problem`; ``error`` tells it to the caller, and
``finalize`` sees every answer.

Implementations take the parameters that they need, by name. Unless a hook says otherwise it is asked in turn until a
plugin answers: ``None`` declines, every other value is an answer, ``{}`` and ``b""`` too. Plugins are asked in this
order: those given to the Backend as listed, installed ones by name, the built-in ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from izzati.claims import Claims
from izzati.handles import BackgroundOptions, Process, Queue
from izzati.markers import hookspec
from izzati.message import Content, Identity, StoredFile
from izzati.request import Call, Request
from izzati.routes import Route
from izzati.serving import Listen, Server
from izzati.uploads import Sink, Upload, UploadedFile

if TYPE_CHECKING:
    from izzati.backend import Backend


@hookspec
def izzati_claims() -> Claims:
    """What is this plugin responsible for?

    When: once for each plugin that implements it, while the Backend is made. All are asked. Two plugins that claim
    the same media type or scheme are an error that names both, unless one ``replaces`` the other.
    """
    raise NotImplementedError


@hookspec
def izzati_routes(backend: Backend) -> Iterable[Route]:
    """Which further URLs does this plugin answer?

    When: once, while the Backend is made. All are asked. Routes are behind identification unless ``public``.

    :param backend: the Backend that is being made. What it serves is in its ``callbacks``, ``codecs``, ``limits`` and
        ``challenges``.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_background(
    target: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any], options: BackgroundOptions
) -> tuple[Process, Queue] | None:
    """Where does background work run?

    When: for each ``background()``, where all installed plugins that implement this hook are asked, and for a Backend
    that serves in the background, where those of the Backend are.

    :param target: to be run as ``target(q, *args, **kwargs)``, where ``q`` is the queue that is returned.
    :param args: what follows the queue.
    :param kwargs: likewise.
    :param options: its name, whether it starts again, and what it needs; decline what is ``local`` if you run
        work elsewhere.
    :returns: the process and its queue.
    :raises BackgroundError: if it cannot be started.
    """
    raise NotImplementedError


@hookspec
def izzati_startup(backend: Backend, listen: Listen) -> None:
    """Prepare for serving.

    When: once, when ``run()`` or ``listen()`` has been asked to serve, before the first connection. All are asked.
    Not asked where another WSGI server runs the Backend.

    :param backend: the Backend that will be served.
    :param listen: where it will be served.
    :raises Exception: to refuse to start, with a sentence that says why; no option marked secret is printed with it.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_serve(app: Any, listen: Listen) -> Server | None:
    """Which server serves this application?

    When: once for each ``run()`` or ``listen()``.

    :param app: the WSGI application (PEP 3333).
    :param listen: where it shall accept connections.
    :raises OSError: if it cannot listen there.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_admit(request: Request) -> Response | None:
    """May this request come in at all? Answer to end it here; decline to let it pass; raise to refuse it.

    When: first of all, before the caller is identified and before the program reads the body, so that a browser's
    preflight needs no credentials.

    :param request: the request; its body may not be read yet.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_identify(request: Request) -> Identity | None:
    """Who is calling? Decline if there is no credential of your kind; raise a Problem if there is one and it is wrong.

    When: after ``izzati_admit``, before the body, for every route that is not public. If any plugin implements this
    hook and none answers, the request is refused with a 401 that carries the challenges of all.

    :param request: the request; its body may not be read yet.
    :returns: an :class:`~izzati.Identity`; any other answer lets nobody in, and is a defect.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_read(request: Request) -> Content | None:
    """Turn a body into text and files.

    When: for every request to a callback whose body is not empty. If all decline the caller gets a 415. An
    implementation that answers has read the body to its end.

    :param request: ``request.media_type`` says what the body is, ``request.body`` gives it, ``request.decode`` asks
        the codecs, ``request.receive`` opens a place for a file.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_decode(body: bytes, media_type: str, request: Request) -> Any:
    """Turn bytes into a value. :class:`~izzati.Codec` implements this.

    When: for a whole body, or a part of a form, of a media type that a plugin claims to read.

    :param body: all bytes of it.
    :param media_type: what they are, without parameters, in lower case.
    :param request: the request that they came with; ``request.limits`` binds codecs, too.
    :returns: the value; :data:`~izzati.NULL` for None.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_store(upload: Upload, request: Request) -> Sink | None:
    """Where do this upload's bytes go? :class:`~izzati.Storage` implements this.

    When: before the first byte of each file is written. When the whole body has been read all sinks commit, and then
    the callback runs; on any failure all abort.

    :param upload: its names and media type, as sent.
    :param request: the request that it came with.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_call(call: Call) -> Any:
    """Run the callback: ``return call()`` does. Answer otherwise to take the call over, or wrap it.

    When: after the body has been read and its uploads have been committed.

    :param call: the function and what it will be given; ``call.text`` and ``call.files`` may be changed first.
    :returns: anything that a callback may return.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_render(result: Any, request: Request) -> Response | None:
    """Turn a callback's result into a response.

    When: after the callback has returned. If all decline, the result is encoded by a codec.

    :param result: what was returned; for a ``Reply`` its value, whose status and headers are applied afterwards.
    :param request: the request that it answers.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_encode(value: Any, media_type: str) -> bytes | None:
    """Turn a value into bytes. :class:`~izzati.Codec` implements this.

    When: for every result that no plugin rendered.

    :param value: the result.
    :param media_type: what was chosen among the types that plugins claim to write.
    :raises TypeError: if the value holds something that this media type cannot carry; ValueError likewise.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_error(error: BaseException, request: Request) -> Response | None:
    """How is this error told to the caller?

    When: whenever a hook or the callback raised. The log has it already. Its traceback is taken from it afterwards: who
    needs that later keeps it, or better its text.

    :param error: a Problem or another Werkzeug ``HTTPException`` is meant for the caller; anything else is a defect
        whose words must not leave the server.
    :param request: the request that failed.
    """
    raise NotImplementedError


@hookspec
def izzati_finalize(response: Response, request: Request) -> None:
    """Add headers to an answer.

    When: last, for every answer: results, refusals, errors, further routes. All are asked.

    :param response: the answer; change its headers in place.
    :param request: the request that it answers.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_open(location: str) -> StoredFile | None:
    """Open a file that a callback returns by its location. :class:`~izzati.Storage` implements this.

    When: for ``file_return("…")`` and a returned ``pathlib.Path``.

    :param location: a path or a URL, from the callback.
    :raises OSError: if it cannot be opened; a FileNotFoundError if there is no such file.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def izzati_save(file: UploadedFile, location: str) -> str | None:
    """Keep an upload. :class:`~izzati.Storage` implements this.

    When: for ``file.save("…")``.

    :param file: the upload; ``file.sink`` is where its bytes are.
    :param location: a path or a URL, from the callback.
    :returns: the location of the file.
    :raises OSError: if it cannot be saved.
    """
    raise NotImplementedError
