"""A ``Content-Type`` that names one media type, or none."""

from __future__ import annotations

import re

from izzati import Problem, Request

__all__ = ["require_one"]

_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+")
"""As RFC 9110 §8.3.1 has it. What is none is as good as any other, unless it may have been meant for a codec."""

_WORD = re.compile(r"[a-z0-9.+/-]+")


def require_one(media_type: str, request: Request, where: str) -> None:
    """Let pass what is one media type, and what holds none that a codec reads.

    :param media_type: without parameters, in lower case.
    :param where: the header that it comes from, at the beginning of a sentence.
    :raises Problem: 400 for one that a codec reads, with something beside it.
    """
    reads = request.codecs.reads
    if not (reads(media_type) or _MEDIA_TYPE.fullmatch(media_type)) and any(map(reads, _WORD.findall(media_type))):
        raise Problem(400, f"{where} names a media type, and more than that. Send the media type alone.")
