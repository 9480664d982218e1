"""The Backend: a function, or several, over HTTP."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

from izzati.arguments import expect
from izzati.background import end_import, importing_main, inert_handles, start
from izzati.callbacks import Callback
from izzati.chains import culprit
from izzati.config import Settings
from izzati.deadline import call_in_time
from izzati.discovery import Selection
from izzati.errors import BackgroundError, Problem, forget_frames
from izzati.handles import BackgroundOptions, Process, Queue
from izzati.limits import Limits
from izzati.message import Content, Identity, Reply
from izzati.negotiation import Codecs
from izzati.notebook import RunningServer, event_loop_runs, place_of, replace
from izzati.plugins import Plugins
from izzati.request import Call, Request
from izzati.response import ValueResponse
from izzati.routes import Route, Routes
from izzati.serving import Listen, Server, greeting, in_place_of_run, serve_until_signalled
from izzati.uploads import UploadedFile

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Backend"]

log = logging.getLogger("izzati")


class Backend:
    """A function over HTTP. ``Backend(callback).run()`` serves it; as a WSGI application any WSGI server does.

    :param callback: a function ``callback(text, data, *args, **kwargs)``, or a dict of path to function. ``text`` is
        a dict, ``data`` a list of :class:`UploadedFile`. It returns a dict or another JSON value, ``file_return(…)``, a
        ``pathlib.Path``, bytes, a :class:`Reply` or a Werkzeug response. One that declares a keyword-only ``request``
        gets the :class:`Request`.
    :param args: follow ``text`` and ``data``.
    :param kwargs: likewise.
    :param background: True to serve in a process of its own: ``p, q = backend.run()``, and the callback is called as
        ``callback(q, text, data, *args, **kwargs)``.
    :param plugins: plugins for this Backend, beside installed and built-in ones; asked first, in this order.
    :param options: for each plugin by name, its options: ``{"browsers": {"allow_origins": ["*"]}}``. What is not given
        here comes from the environment (``IZZATI_BROWSERS_ALLOW_ORIGINS``), else from the file ``izzati.toml``.
    :param block: names of installed or built-in plugins to leave out.
    :param only: names of the installed plugins to use; all unless given. Built-in ones are used all the same.
    :param require: names of plugins without which it must not start.
    :param order: names of plugins to ask first, in this order; between two that claim the same, the first has it.
    :param strict: False to leave out plugins that are broken, with a warning in the log, instead of refusing to start.
        If one of them decides who may call, every call is refused. True unless the environment has ``IZZATI_STRICT=0``.
    :param limits: what one request may ask for.
    :raises CallbackError: (a ``TypeError``) if a callback cannot take its arguments.
    :raises PluginError: if a plugin cannot be used, with everything that is wrong with any.
    :raises OptionError: (a ``ValueError``) if an option does not exist, or has a value of the wrong type.
    :raises TypeError: if an argument is of another type than it takes.
    :raises ValueError: if a path does not begin with a slash, or two functions answer at one.
    """

    def __init__(
        self,
        callback: Callable[..., Any] | Mapping[str, Callable[..., Any]],
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        background: bool = False,
        *,
        plugins: Sequence[Any] = (),
        options: Mapping[str, Mapping[str, Any]] | None = None,
        block: Iterable[str] = (),
        only: Iterable[str] | None = None,
        require: Iterable[str] = (),
        order: Iterable[str] = (),
        strict: bool | None = None,
        limits: Limits | None = None,
    ) -> None:
        expect(Iterable, args, "args takes a list or tuple, as in args=(model,)")
        expect((Mapping, type(None)), kwargs, "kwargs takes a dict, as in kwargs={'model': model}")
        expect(Iterable, plugins, "plugins takes a list, as in plugins=[Served()]")
        expect((Limits, type(None)), limits, "limits takes an izzati.Limits, as in limits=Limits(body=2 << 30)")
        expect((bool, type(None)), strict, "strict takes True or False, as in strict=False")
        self._args = args = tuple(args)
        self._kwargs = dict(kwargs or {})
        plugins = tuple(plugins)
        # Copied whole: Python 3.12 changes locals() while it is gone through, if a debugger looks on.
        arguments = dict(locals())
        del arguments["self"]
        self._remake = partial(Backend, **arguments)
        #: True if it serves in a process of its own, and its callbacks get a queue
        self.background = background
        #: that queue; None before it serves
        self.queue: Queue | None = None
        essentials = ("q", "text", "data") if background else ("text", "data")
        functions = callback if isinstance(callback, Mapping) else {"/": callback}
        #: path, which is a Werkzeug rule, to callback
        self.callbacks = {
            path: Callback(function, essentials, self._args, self._kwargs) for path, function in functions.items()
        }
        settings = Settings({} if options is None else options)
        selection = Selection.of(block=block, only=only, require=require, order=order)
        self.plugins = Plugins(plugins, settings, selection, strict=strict)
        #: what one request may ask for
        self.limits = limits or Limits(**{each.name: each.value for each in settings.options("limits", Limits)})
        #: what its plugins read and write
        self.codecs = Codecs(self.plugins.readers, self.plugins.writers)
        #: a ``WWW-Authenticate`` value for each way in which callers may say who they are (RFC 9110 §11.6.1)
        self.challenges = tuple(self.plugins.challenges)
        self._hooks = self.plugins.hooks
        self._guarded = bool(self.plugins.identify or self.plugins.broken_guards)
        routes = [Route(path, partial(self._run, its), methods=("POST",)) for path, its in self.callbacks.items()]
        self._routes = Routes([*routes, *self._plugin_routes()])

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        request = Request(environ, self._hooks, self.codecs, self.limits)
        try:
            response = self._answer(request)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            response = self._explain(error, request)
            forget_frames(error)
        response = self._finalize(response, request)
        if request.holds_uploads and response.is_sequence:
            request.release()
        answer = response(environ, start_response)
        return ClosingIterator(answer, request.release) if request.holds_uploads else answer

    def _answer(self, request: Request) -> Response:
        if self.background:
            self._require_queue()
        early: Response | None = self._hooks.izzati_admit(request)
        if early is not None:
            return early
        route = self._routes.find(request)
        if self._guarded and not route.public:
            request.identity = self._identify(request)
        return route.handler(request)

    def _identify(self, request: Request) -> Identity | None:
        if self.plugins.broken_guards:
            raise Problem(503, "This server cannot tell who may call it. Its owner finds the reason in its log.")
        identity: Identity | None = self._hooks.izzati_identify(request)
        if identity is None and self.plugins.identify:
            raise Problem(
                401,
                "This server answers only callers that say who they are. Send credentials.",
                headers={"WWW-Authenticate": ", ".join(self.challenges)} if self.challenges else None,
            )
        return identity

    def _run(self, callback: Callback, request: Request) -> Response:
        text, files = self._read(request)
        kwargs = {**self._kwargs, "request": request} if callback.wants_request else self._kwargs
        first = (self.queue,) if self.background else ()
        call = Call(callback.function, text, files, self._args, kwargs, request, first)
        if self.limits.seconds is None:
            result = self._hooks.izzati_call(call)
        else:
            result = call_in_time(partial(self._hooks.izzati_call, call), request)
        return self.render(result, request)

    def _read(self, request: Request) -> tuple[dict[str, Any], list[UploadedFile]]:
        others = {**request.query, **request.variables} if request.environ.get("QUERY_STRING") else request.variables
        if request.body.length == 0:
            return dict(others), []
        try:
            content: Content | None = self._hooks.izzati_read(request)
            if content is None:
                raise self.codecs.unreadable(request.media_type)
            files = request.commit(content)
        except BaseException:
            request.abort()
            raise
        text = {**others, **content.text, **request.variables} if others else content.text
        return text, files

    def render(self, result: Any, request: Request) -> Response:
        """Turn what a callback has returned into a response; for plugins that answer with a result of their own.

        :raises TypeError: if no plugin renders it and the codec cannot carry it; ValueError likewise.
        :raises OSError: if it is a file that cannot be opened.
        """
        reply = result if isinstance(result, Reply) else None
        value = result if reply is None else reply.value
        response: Response | None = self._hooks.izzati_render(value, request)
        if response is None:
            media_type = self.codecs.choose(request.environ.get("HTTP_ACCEPT", ""), request.media_type)
            body = self._hooks.izzati_encode(value, media_type)
            if body is None:
                raise RuntimeError(f"the plugin that claims to write {media_type} declined to encode a result")
            response = ValueResponse(body, media_type)
        if reply is not None:
            response.status_code = reply.status
            response.headers.update(reply.headers)
        return response

    def _explain(self, error: BaseException, request: Request) -> Response:
        if not isinstance(error, HTTPException):
            where = culprit(error)
            note = f"This was raised in {where}."
            if where and sys.version_info >= (3, 11) and note not in getattr(error, "__notes__", ()):
                error.add_note(note)
            log.error("request %s failed%s", request.id, f" in {where}" if where else "", exc_info=error)
        try:
            response: Response | None = self._hooks.izzati_error(error, request)
        except Exception as another:
            log.error("request %s: its error could not be told", request.id, exc_info=another)
            forget_frames(another)
            response = None
        return response or Problem(500, f"Request {request.id} failed.").get_response()

    def _finalize(self, response: Response, request: Request) -> Response:
        try:
            self._hooks.izzati_finalize(response, request)
        except Exception as error:
            # An answer without the headers that a plugin owes it might be an unsafe one.
            log.error("request %s: %s failed", request.id, culprit(error), exc_info=error)
            forget_frames(error)
            response = Problem(500, f"Request {request.id} failed.").get_response()
        if isinstance(response, ValueResponse):
            response.request_id = request.id  # which it adds when it is sent, for a twentieth of the price
        else:
            response.headers["X-Request-Id"] = request.id
        return response

    def _plugin_routes(self) -> Iterable[Route]:
        try:
            return [route for its in self._hooks.izzati_routes(self) for route in its]
        except Exception as error:
            raise self.plugins.failure(error)  # noqa: B904 - which has the cause that may be shown

    def listen(self, host: str = "", port: int = 5020) -> Server:
        """A server for this Backend, bound but not yet serving; for programs that decide themselves when it ends.

        :param host: a name or address; empty for every interface, IPv4 and IPv6.
        :param port: 0 lets the system choose; ``server.address`` tells.
        :raises OSError: if it cannot listen there.
        :raises BackgroundError: if it has ``background=True``, and so is served by :meth:`run`.
        :raises PluginError: if a plugin fails to prepare for it.
        """
        self._require_queue()
        listen = Listen(host, port)
        try:
            self._hooks.izzati_startup(self, listen)
        except Exception as error:
            raise self.plugins.failure(error)  # noqa: B904 - which has the cause that may be shown
        server: Server | None = self._hooks.izzati_serve(self, listen)
        if server is None:
            raise RuntimeError("no plugin serves: the built-in server is blocked, and all others declined")
        return server

    def run(self, host: str = "", port: int = 5020) -> RunningServer | tuple[Process, Queue] | None:
        """Serve until SIGINT (Ctrl-C) or SIGTERM, then finish the requests in flight.

        With ``background=True``, and where an asyncio event loop runs, as in a notebook, it returns as soon as
        connections are accepted; the server ends with the program. Where a loop runs, a server that was started so at
        the same port is stopped first.

        :param host: a name or address; empty for every interface, IPv4 and IPv6.
        :param port: 0 lets the system choose a free one, which the greeting on stderr names.
        :returns: with ``background=True`` the server's process, and the queue that callbacks get; else, where an event
            loop runs, the running server; else None.
        :raises OSError: if it cannot listen there.
        :raises BackgroundError: if it cannot serve in the background.
        """
        if importing_main():
            end_import(inspect.currentframe())
            return inert_handles() if self.background else None
        instead = in_place_of_run[-1] if in_place_of_run else None
        if instead is not None:
            handles: tuple[Process, Queue] | None = instead(self, host, port)
            return handles
        if event_loop_runs():
            begin = self._start_process if self.background else self._start_thread
            how = "p.terminate()" if self.background else "Its stop()"
            end = f"{how} stops it, and running this again replaces it."
            return replace(place_of(port, self.callbacks), partial(begin, host, port, end))
        if self.background:
            return self._start_process(host, port)
        self._serve(host, port)
        return None

    def _serve(
        self, host: str, port: int, end: str = "Ctrl-C stops it.", ready: Callable[[], object] = lambda: None
    ) -> None:
        server = self.listen(host, port)
        serve_until_signalled(server, self._greeting(Listen(host, port), end, server.address), ready)

    def _start_thread(self, host: str, port: int, end: str) -> RunningServer:
        where = Listen(host, port)
        server = RunningServer(partial(self.listen, host, port), where, partial(self._greeting, where, end))
        if not hasattr(sys, "ps1"):  # an interactive session shows it by itself
            sys.stderr.write(f"{server!r}\n")
        return server

    def _start_process(self, host: str, port: int, end: str = "Ctrl-C stops it.") -> tuple[Process, Queue]:
        told, tell = import_module("multiprocessing").Pipe(duplex=False)  # which most programs do without
        with told:
            with tell:
                options = BackgroundOptions(local=True)
                process, queue = start(self._hooks, self._serve_in_background, (host, port, end, tell), {}, options)
            try:
                error = told.recv()
            except EOFError:
                process.join()
                error = BackgroundError(
                    f"the server ended with exit code {process.exitcode} before it served: see the log"
                )
            except KeyboardInterrupt:
                process.terminate()  # a notebook goes on, and nobody has it
                raise
        if error is not None:
            raise error
        return process, queue

    def _serve_in_background(self, q: Queue, host: str, port: int, end: str, tell: Connection) -> None:
        """In the server's own process: tell the one that waits for it that it serves, or why not."""
        self.queue = q
        try:
            self._serve(host, port, end, lambda: tell.send(None))
        except Exception as error:
            tell.send(error)
            raise SystemExit(1) from None
        finally:
            tell.close()

    def _greeting(self, where: Listen, end: str, address: tuple[str, int]) -> str:
        serves = [f"{path} ({callback.name})" for path, callback in self.callbacks.items()]
        return greeting(serves, where, address, self.plugins.by_name, end, guarded=self.plugins.identify)

    def _require_queue(self) -> None:
        if self.background and self.queue is None:
            raise BackgroundError(
                "Backend(callback, background=True) has its queue from run(), so nothing else can serve it. For a WSGI "
                "server, or listen(), leave background=True out, and start what reads the queue beside it: "
                "p, q = background(function); Backend(callback, args=(q,))"
            )

    def __reduce__(self) -> tuple[Callable[[], Backend], tuple[()]]:
        """Another process makes it anew, from the same arguments."""
        return self._remake, ()
