"""``Content-Disposition``, as it is really sent (RFC 6266, RFC 7578 §4.2, WHATWG HTML §4.10.21.8)."""

from __future__ import annotations

import re
from urllib.parse import unquote

__all__ = ["parse_disposition"]

# A quoted value ends at a quote that ends the parameter, else with the header, and a token has the blanks behind it: so
# nothing is scanned twice, of which a caller may send 64 KiB.
_QUOTED = r'"(?P<quoted>(?:[^"\\]|\\.|\\$|"(?!\s*(?:;|$)))*)(?P<closing>"|$)\s*'
_PARAMETER = re.compile(
    rf"\s*(?P<name>[\w!#$%&'*+.^`|~-]+)\s*=\s*(?:{_QUOTED}|(?P<token>(?:[^\s\";][^\";]*)?))(?:;|$)", re.DOTALL
)
_BLANK = re.compile(r"\s*(?:;|$)")
_INNER_QUOTE = re.compile(r'(?<!\\)"')
_ANOTHER = re.compile(r";\s*[\w*-]+\s*=")
"""In a value with an inner quote, what looks like another parameter: who does not escape quotes may mean either."""

_PIECE = re.compile(r".*\*\d+\*?")
_MOST = 100  # since each costs as much time as a kilobyte of anything else
_ESCAPED = re.compile(r'\\(["\\])')
_ESCAPED_IN_FORM = re.compile(rf"{_ESCAPED.pattern}|%22|%0[AD]", re.IGNORECASE)
_OF_BROWSERS = {"%22": '"', "%0D": "\r", "%0A": "\n"}


def parse_disposition(header: str) -> dict[str, str]:
    """The parameters of a ``Content-Disposition`` header, and its type under the empty name.

    Libraries for headers take every backslash for an escape. Browsers escape nothing but quotes and line ends in a
    part of a form (``form-data``), as ``%22``, ``%0D`` and ``%0A``, and no percent sign; old ones send a whole path of
    Windows. So a backslash escapes only a quote or another backslash, and nothing else is an escape.
    Some mobile clients do not even escape quotes, so only one before a semicolon or the end closes the value.
    ``filename*`` (RFC 8187) wins over ``filename``, and ``name*``, as old clients send it, over ``name``.

    :param header: the header's value, decoded.
    :raises ValueError: if there is a parameter in place of the type; if one is there with two different values, or in
        pieces (RFC 2231); if the quote of one is never closed, since then what comes behind it, such as a line break,
        has cut the value, or may be closed before another parameter, or not; if there is something else between
        parameters; and if there are more than 100.
    """
    kind, _, rest = header.partition(";")
    if "=" in kind:
        raise ValueError("a parameter where its type belongs, with a semicolon behind it")
    parameters = {"": kind.strip().lower()}
    position = number = 0
    while position < len(rest):
        if blank := _BLANK.match(rest, position):
            position = blank.end()
            continue
        match = _PARAMETER.match(rest, position)
        number += 1
        if number > _MOST:
            raise ValueError(f"more than {_MOST} parameters")
        if match is None:
            raise ValueError("something that is no parameter, which has a name, an equals sign and a value")
        position = match.end()
        name = match["name"].lower()
        in_form = parameters[""] == "form-data" and name in ("name", "filename")
        value = _value(match, _ESCAPED_IN_FORM if in_form else _ESCAPED)
        if parameters.setdefault(name, value) != value:
            raise ValueError(f"two different values of {name}")
    for name in ("filename", "name"):
        sent = parameters.pop(f"{name}*", None)
        if sent is not None:
            extended = _extended(sent)
            if extended is not None and (extended or name not in parameters):
                parameters[name] = extended
            parameters.setdefault(name, sent)  # not decoded, but a file all the same
    return parameters


def _value(parameter: re.Match[str], escapes: re.Pattern[str]) -> str:
    name, quoted = parameter["name"], parameter["quoted"]
    if _PIECE.fullmatch(name):
        raise ValueError(f"a value in pieces, {name}, which RFC 7578 does not have")
    if quoted is None:
        return parameter["token"].strip()
    # A path of Windows may end in a backslash, which makes its last quote look escaped.
    if not parameter["closing"] and not quoted.endswith('\\"'):
        raise ValueError(f"a quote that is never closed, after {name}=")
    if _INNER_QUOTE.search(quoted) and _ANOTHER.search(quoted):
        raise ValueError(f"a quote that may end the value of {name}, or not")
    content, end = (quoted, "") if parameter["closing"] else (quoted[:-2], "\\")
    return escapes.sub(lambda escape: escape[1] or _OF_BROWSERS[escape[0].upper()], content) + end


def _extended(value: str) -> str | None:
    """The text of an RFC 8187 value (``UTF-8''na%C3%AFve``); None if it is not one."""
    charset, _, rest = value.partition("'")
    _, quote, encoded = rest.partition("'")
    if not quote or charset.lower() not in ("utf-8", "iso-8859-1"):
        return None
    try:
        return unquote(encoded, charset, errors="strict")
    except UnicodeDecodeError:
        return None
