"""Names of files that strangers send: what they called it, and a name that is safe to give to a file here."""

from __future__ import annotations

import re

__all__ = ["last_component", "safe_filename"]

# Not compiled here: that takes a millisecond, and a program may save nothing.
_DEVICES = r"(?i)(con|conin\$|conout\$|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)"
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_DIRECTIONS = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSAFE = rf'[{_CONTROLS}{_DIRECTIONS}<>:"/\\|?*]'
# File systems take 255 bytes; the rest is for a number, where the name is taken.
_LONGEST = 230


def last_component(sent: str) -> str:
    """The name without the folders that some clients send before it (RFC 7578 §4.2), in either system's writing.

    ``.`` and ``..`` are folders, too (RFC 6266 §4.3), and leave no name.
    """
    last = re.split(r"[/\\]", sent)[-1]
    return "" if last in (".", "..") else last


def safe_filename(sent: str, default: str = "upload") -> str:
    """A name that every common file system takes and that stays inside its folder.

    Letters of all scripts are kept. Separators, control characters, characters that Windows refuses and marks that
    change the direction of reading become ``_``; names of Windows devices get a ``_`` in front; dots at both ends go;
    a name over 230 bytes is shortened before its suffix.

    :param sent: the name as it was sent.
    :param default: the name if nothing is left.
    """
    name = _shortened(re.sub(_UNSAFE, "_", last_component(sent)).strip(" .")) or default
    return _shortened(f"_{name}") if re.match(_DEVICES, name) else name


def _shortened(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    stem, dot, suffix = name.rpartition(".")
    tail = f"{dot}{suffix}".encode() if stem and len(suffix) <= 16 else b""
    return (encoded[: _LONGEST - len(tail)] + tail).decode(errors="ignore").strip(" .")
