"""What a caller sends in ``Authorization``, and how it is refused."""

from __future__ import annotations

import base64
import binascii
import unicodedata

__all__ = ["LONGEST", "Genuine", "Wrong", "read_basic", "split"]

LONGEST = 16 << 10
"""Characters of a credential: more than any token has, and few enough to be looked at for a stranger."""


class Wrong(Exception):
    """A credential of a kind that is configured, but none that lets anyone in. Its words are for the caller."""


class Genuine(Wrong):
    """Wrong, but from whom it says it is: whoever has it does not guess."""


def split(header: str) -> tuple[str, str]:
    """The scheme in lower case, and what follows it (RFC 9110 §11.4).

    :param header: the value of ``Authorization``.
    """
    scheme, _, credential = header.strip(" \t").partition(" ")
    return scheme.lower(), credential.strip(" \t")


def read_basic(credential: str) -> tuple[str, bytes]:
    """The name and the password, the latter in UTF-8 (RFC 7617 §2).

    :param credential: what follows the scheme.
    :raises Wrong: if it is not base64 of ``name:password`` in UTF-8, or has a control character.
    """
    try:
        text = base64.b64decode(credential, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Wrong("What follows Basic is not the base64 of name:password in UTF-8.") from None
    name, colon, password = text.partition(":")
    if not colon:
        raise Wrong("What follows Basic has no colon between a name and a password.")
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise Wrong("A name and a password may have no control characters, such as the end of a line.")
    return name, password.encode()
