"""Keys of uploads: made from a template of the owner's, and from parts that strangers choose but cannot abuse."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timezone
from string import Formatter
from urllib.parse import quote

from izzati import Identity, Upload, safe_filename

__all__ = ["KeyTemplate", "plain_name"]

_LONGEST = {"date": 10, "field": 60, "id": 32, "identity": 100, "name": 120}
"""What may stand in braces, and how many bytes it becomes at most."""

# What file systems take as one name, and what S3, Google and Azure take as a whole key.
_NAME, _KEY = 255, 1024


class KeyTemplate:
    """The template of a key, such as ``"{date}/{id}-{name}"``.

    :param template: text in which ``{date}``, ``{field}``, ``{id}``, ``{identity}`` and ``{name}`` are replaced.
    :param prefix: what will stand before each key in the store.
    :raises ValueError: if it names another placeholder, could give two uploads one key, lead out of its folder, or
        become longer than stores take.
    """

    def __init__(self, template: str, prefix: str = "") -> None:
        names = _placeholders(template)
        unknown = [name for name in names if name not in _LONGEST]
        if unknown:
            raise ValueError(
                f"{{{unknown[0]}}} is no placeholder of a key; there are {_listed()}, and nothing but {{…}}"
            )
        if "id" not in names:
            raise ValueError(f"the key {template!r} needs {{id}}: without it a second upload would replace the first")
        self._template = template
        plain = template.format(**dict.fromkeys(_LONGEST, "x"))
        for part in plain.split("/"):
            if not part or part != plain_name(part):
                raise ValueError(
                    f"the key {template!r} has a part {part!r} that stores may take for something else: between "
                    'slashes write letters, digits, "-", "_", and "." not at an end'
                )
        longest = [
            len(part.format(**{name: "x" * size for name, size in _LONGEST.items()}).encode())
            for part in template.split("/")
        ]
        if max(longest) > _NAME:
            raise ValueError(f"a part of the key {template!r} may have {max(longest)} bytes, and stores take {_NAME}")
        if len(prefix.encode()) + sum(longest) + len(longest) > _KEY:
            raise ValueError(
                f"the key {template!r} below {prefix!r} may have more than the {_KEY} bytes that stores take"
            )

    def key(self, upload: Upload, identity: Identity | None) -> str:
        """A key that no other upload has. Each placeholder stays within its part, whatever a caller has sent."""
        return self._template.format(
            date=datetime.now(timezone.utc).date().isoformat(),
            field=_shortened(plain_name(upload.name, "file"), _LONGEST["field"]),
            id=secrets.token_hex(16),
            identity=_unambiguous(identity),
            name=_shortened(plain_name(upload.filename), _LONGEST["name"]),
        )


def plain_name(sent: str, default: str = "upload") -> str:
    """A name that is one part of a URL, too: after ``#`` Google's library looks for a generation."""
    return safe_filename(sent, default).replace("#", "_")


def _placeholders(template: str) -> list[str]:
    """What stands in braces; with its conversion and format, which would make it another name."""
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"the key {template!r} is no template ({error}); there are {_listed()}") from None
    return [
        name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        for _, name, spec, conversion in parsed
        if name is not None
    ]


def _listed() -> str:
    return ", ".join(f"{{{name}}}" for name in _LONGEST)


def _shortened(name: str, limit: int) -> str:
    """The name in so many bytes; it keeps its suffix."""
    if len(name.encode()) <= limit:
        return name
    stem, dot, suffix = name.rpartition(".")
    tail = dot + suffix if stem and len(suffix.encode()) <= 16 else ""
    return name.encode()[: limit - len(tail.encode())].decode(errors="ignore").rstrip(" .") + tail


def _unambiguous(identity: Identity | None) -> str:
    """A folder's name that no other caller gets: whose folder it is must not be a matter of luck."""
    if identity is None:
        return "(anonymous)"  # quote() leaves no parentheses
    name = re.sub(r"^\.|\.$", "%2E", quote(identity.name, safe="@", errors="surrogatepass")) or "(empty)"
    if len(name) <= _LONGEST["identity"]:
        return name
    return f"{name[:60]}({hashlib.sha256(name.encode()).hexdigest()[:32]})"
