"""A request on its way in, and the call that it leads to."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from werkzeug.datastructures import EnvironHeaders
from werkzeug.wrappers import Request as WerkzeugRequest

from izzati.body import Body
from izzati.disposition import parse_disposition
from izzati.errors import Problem, UnknownScheme
from izzati.fields import fold_fields, parse_fields
from izzati.filenames import last_component
from izzati.limits import Limits
from izzati.message import NULL, Content, Identity, StoredFile
from izzati.negotiation import Codecs
from izzati.uploads import Upload, UploadedFile, Uploads, raise_as_problem

__all__ = ["Call", "Request"]


_Value = TypeVar("_Value")


class _cached(cached_property[_Value]):  # noqa: N801 - as the one that it is
    """A cached property without the lock that Python has around each before 3.12; no two threads share a request."""

    if not TYPE_CHECKING:

        def __get__(self, request: Request | None, owner: type | None = None) -> Any:
            return self if request is None else vars(request).setdefault(self.attrname, self.func(request))


class Request:
    """One HTTP request, as hooks see it, and callbacks that declare a keyword-only ``request``.

    :param environ: the WSGI environment (PEP 3333).
    """

    def __init__(self, environ: dict[str, Any], hooks: Any, codecs: Codecs, limits: Limits) -> None:
        self.environ = environ
        #: what the Backend's codecs read and write
        self.codecs = codecs
        #: the Backend's limits
        self.limits = limits
        #: when it arrived, as time.perf_counter() counts
        self.begun = time.perf_counter()
        #: names this request in the log; every answer carries it as ``X-Request-Id``
        self.id = f"{random.getrandbits(64):016x}"
        #: who is calling; None where no plugin identifies callers
        self.identity: Identity | None = None
        #: values of the rule's variables, where the path has any
        self.variables: Mapping[str, Any] = {}
        #: a place for plugins to keep something for this request, each under its own name; what leads back to the
        #: request keeps it in memory until the garbage collector comes by
        self.state: dict[str, Any] = {}
        self._hooks = hooks
        self._uploads: Uploads | None = None  # which few requests need

    @property
    def method(self) -> str:
        """The HTTP method, in capitals."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def path(self) -> str:
        """The decoded path below the application's root; bytes that are not UTF-8 become U+FFFD."""
        path: str = self.environ.get("PATH_INFO") or "/"
        return path if path.isascii() else path.encode("latin-1").decode(errors="replace")

    @property
    def address(self) -> str | None:
        """The caller's address, or that of the last proxy before this server."""
        return self.environ.get("REMOTE_ADDR")

    @_cached
    def headers(self) -> EnvironHeaders:
        """The headers; names in any case."""
        return EnvironHeaders(self.environ)

    @_cached
    def media_type(self) -> str:
        """The body's media type without parameters, in lower case; empty if none was sent."""
        return str(self.environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()

    @_cached
    def media_type_parameters(self) -> Mapping[str, str]:
        """Parameters of the body's media type (``charset``, ``boundary``, …), names in lower case.

        :raises Problem: 400 if they have no single meaning, such as two boundaries.
        """
        try:
            parameters = parse_disposition(self.environ.get("CONTENT_TYPE") or "")
        except ValueError as error:
            raise Problem(400, f"The Content-Type has {error}. Leave that header to the HTTP library.") from error
        del parameters[""]
        return parameters

    @cached_property
    def query(self) -> dict[str, Any]:
        """Values of the query string: one value a string, a key sent several times a list.

        :raises Problem: 400 if it is not UTF-8, 413 beyond ``Limits.parts``.
        """
        text = str(self.environ.get("QUERY_STRING") or "")
        if not text:
            return {}
        try:
            text = text.encode("latin-1").decode()
        except UnicodeError as error:
            raise Problem(400, "The query string is not UTF-8. Encode it as UTF-8 and percent-escape it.") from error
        return fold_fields(parse_fields(text, self.limits, "the query string"))

    @_cached
    def body(self) -> Body:
        """The body; nothing is read of it before somebody asks.

        :raises Problem: 400 if its declared length is no number.
        """
        return Body(self.environ, self.limits)

    @cached_property
    def werkzeug(self) -> WerkzeugRequest:
        """The same request as Werkzeug's. Do not read its ``form``, ``files`` or ``data``: the body is read once."""
        return WerkzeugRequest(self.environ)

    def decode(self, data: bytes, media_type: str) -> Any:
        """The value in the bytes of a whole body or of one part, from the codec that reads this media type.

        :raises Problem: 415 if no codec reads it; 400 if the codec cannot decode it.
        """
        value = self._hooks.izzati_decode(data, media_type, self)
        if value is None:
            raise self.codecs.unreadable(media_type)
        return None if value is NULL else value

    def receive(self, filename: str, name: str = "", content_type: str = "") -> Upload:
        """Announce a file of the body; write its bytes into what is returned, and put that into a :class:`Content`.

        :param filename: the name as it was sent, folders and all.
        :param name: the key of the form's field.
        :param content_type: the media type sent; ``application/octet-stream`` if empty.
        :raises Problem: what the storage plugin raises; 507 if there is no room, 503 if no file can be opened.
        """
        upload = Upload(last_component(filename), name, content_type or "application/octet-stream")
        try:
            sink = self._hooks.izzati_store(upload, self)
        except OSError as error:
            raise_as_problem(error)
        if sink is None:
            raise RuntimeError("no plugin stores uploads: the built-in spool is blocked, and all others declined")
        upload.sink = sink
        self._uploads = self._uploads or Uploads()
        self._uploads.add(upload)
        return upload

    def open(self, location: str) -> StoredFile:
        """Open a file by its location, to be sent.

        :param location: a path, or a URL whose scheme an installed plugin opens; never from the request.
        :raises UnknownScheme: if no plugin opens it.
        :raises OSError: if it cannot be opened.
        :raises Problem: 503 if the program has no more files to open.
        """
        try:
            file: StoredFile | None = self._hooks.izzati_open(location)
        except OSError as error:
            raise_as_problem(error)
        if file is None:
            raise UnknownScheme(f"no installed plugin opens {location!r}")
        return file

    def commit(self, content: Content) -> list[UploadedFile]:
        """The whole body has been read: every upload stands, and becomes a file for the callback."""
        if self._uploads is None and not content.uploads:
            return []
        self._uploads = self._uploads or Uploads()
        return self._uploads.commit(content.uploads, self._save)

    def abort(self) -> None:
        """The body failed: no upload leaves anything behind."""
        if self._uploads is not None:
            self._uploads.abort()

    def release(self) -> None:
        """The uploads are needed no more; temporary space is given back."""
        if self._uploads is not None:
            self._uploads.close()

    def keep(self) -> Callable[[], None]:
        """Let the uploads live on after the answer.

        :returns: what releases them, to be called once they are needed no more.
        """
        kept, self._uploads = self._uploads or Uploads(), None
        return kept.close

    @property
    def holds_uploads(self) -> bool:
        """True from the first upload until :meth:`release` or :meth:`keep`."""
        return bool(self._uploads)

    def _save(self, file: UploadedFile, location: str) -> str:
        saved: str | None = self._hooks.izzati_save(file, location)
        if saved is None:
            raise UnknownScheme(f"no installed plugin saves at {location!r}")
        return saved


class Call:
    """One call of a callback that is about to happen; ``call()`` makes it happen.

    A plugin may change ``text`` and ``files`` first.
    """

    __slots__ = ("_first", "args", "files", "function", "kwargs", "made", "request", "result", "text")

    def __init__(
        self,
        function: Callable[..., Any],
        text: dict[str, Any],
        files: list[UploadedFile],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        request: Request,
        first: tuple[Any, ...] = (),
    ) -> None:
        #: the callback
        self.function = function
        self._first = first
        self.text: Any = text
        self.files = files
        #: what follows ``text`` and ``files``
        self.args = args
        self.kwargs = kwargs
        self.request = request
        #: True once the callback has returned
        self.made = False
        #: what it returned
        self.result: Any = None

    def __call__(self) -> Any:
        """Run the callback, and return what it returns. What it raises is raised."""
        self.result = self.function(*self._first, self.text, self.files, *self.args, **self.kwargs)
        self.made = True
        return self.result

    def keep(self) -> Callable[[], None]:
        """Let the uploads live on after the answer, to make the call later, in another thread.

        :returns: what releases them: call it when the call is over, however it ended.
        """
        return self.request.keep()
