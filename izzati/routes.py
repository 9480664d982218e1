"""Which function answers which URL."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.wrappers import Response

from izzati.errors import Problem
from izzati.request import Request

__all__ = ["Route", "Routes"]

_VARIABLE = re.compile(r"<(?:(\w+(?:\(.*?\))?):)?\w+>")
"""A variable of a rule, by its converter: text, unless there is one."""


@dataclass(frozen=True)
class Route:
    """A further URL, beside those of the callbacks (``izzati_routes``).

    :param path: a Werkzeug rule such as ``"/healthz"`` or ``"/static/<name>"``.
    :param handler: takes the :class:`Request`, returns a Werkzeug response. The rule's variables are
        in ``request.variables``.
    :param methods: the HTTP methods that it answers.
    :param public: True if it may be called without credentials, even where plugins identify callers.
    """

    path: str
    handler: Callable[[Request], Response]
    methods: tuple[str, ...] = ("GET",)
    public: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.path, str):
            raise TypeError(f"a path is text that begins with a slash, such as '/caption', not {self.path!r}")
        if isinstance(self.methods, str):
            raise TypeError(f"a Route's methods are a tuple of text, such as ('GET',), not {self.methods!r}")


class Routes:
    """A table of routes, asked once a request.

    :raises ValueError: if a path does not begin with ``/``, or two routes answer one method at the same paths.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain: dict[tuple[str, str], Route] = {}
        self._taken: dict[tuple[str, str], str] = {}
        self._routes: list[Route] = []
        for route in routes:
            self._add(route)
        if len(self._plain) < len(self._taken):
            self._map  # noqa: B018 - rules with variables may be wrong, and are refused now

    def find(self, request: Request) -> Route:
        """The route for a request; one that refuses if there is none, since who may know that is not yet decided."""
        # Nearly every path is plain, and a look-up costs a fiftieth of a match.
        plain = self._plain.get((request.environ["REQUEST_METHOD"], request.environ.get("PATH_INFO") or "/"))
        if plain is not None:
            return plain
        try:
            return self._match(request)
        except HTTPException as error:
            return _refusal(error)

    def _match(self, request: Request) -> Route:
        method = request.method
        if not method.isupper():  # Werkzeug would take it for the one in capitals
            raise Problem(400, "Methods are written in capitals, as in POST (RFC 9110, section 9.1).")
        if _is_no_text(request.environ.get("PATH_INFO", "")):
            raise Problem(400, "The path is not UTF-8. Encode it as UTF-8, and that by percent signs.")
        try:
            route, request.variables = self._map.bind("").match(request.path, method)
        except MethodNotAllowed as error:
            return _other_method(method, ", ".join(sorted({*(error.valid_methods or ()), "OPTIONS"})))
        except NotFound:
            raise Problem(404, f"Nothing answers at this path. {self._known()}") from None
        if any(isinstance(value, float) and not math.isfinite(value) for value in request.variables.values()):
            raise Problem(400, "The path has a number that is larger than any that can be held.")
        assert isinstance(route, Route)
        return route

    def _add(self, route: Route) -> None:
        if not route.path.startswith("/"):
            raise ValueError(f"the path {route.path!r} does not begin with a slash: write {'/' + route.path!r}")
        shape = _VARIABLE.sub(lambda match: f"<{match[1] or 'string'}>", route.path)
        self._routes.append(route)
        for method in route.methods:
            other = self._taken.get((method, shape))
            if other is not None:
                where = other if other == route.path else f"at the same paths, {other} and {route.path}"
                raise ValueError(f"two routes answer {method} {where}; give one of them another path")
            self._taken[method, shape] = route.path
            if "<" not in route.path and route.path.isascii():  # as which it stands in the environment, too
                self._plain[method, route.path] = route

    @cached_property
    def _map(self) -> Any:
        """Werkzeug's, for what is not found as it stands; few programs need it before their first stray request."""
        routing = import_module("werkzeug.routing")  # by name: to import it costs a tenth of what izzati does
        rules = routing.Map(strict_slashes=False, merge_slashes=False)
        for route in self._routes:
            try:
                rules.add(routing.Rule(route.path, methods=route.methods, endpoint=route))
            except (LookupError, SyntaxError, TypeError, ValueError) as error:
                raise ValueError(f"the path {route.path!r} is no Werkzeug rule: {error}") from error
        return rules

    def _known(self) -> str:
        paths = list(dict.fromkeys(route.path for route in self._routes))
        return f"These paths do: {', '.join(paths[:10])}{', ...' if len(paths) > 10 else ''}"


def _is_no_text(path: str) -> bool:
    """True if what WSGI hands on as Latin-1 (PEP 3333) is not UTF-8."""
    try:
        path.encode("latin-1").decode()
    except UnicodeDecodeError:
        return True
    return False


def _refusal(error: HTTPException) -> Route:
    def refuse(request: Request) -> Response:
        raise error

    return Route("", refuse)


def _other_method(method: str, allow: str) -> Route:
    if method == "OPTIONS":
        return Route("", lambda request: Response(status=204, headers={"Allow": allow}))
    return _refusal(Problem(405, f"This path takes {allow}, not {method}.", headers={"Allow": allow}))
