"""What arrives, written to a file: whole or not at all."""

from __future__ import annotations

import itertools
import mimetypes
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from izzati.filenames import safe_filename

__all__ = ["save"]


def save(blocks: Iterable[bytes], location: str | os.PathLike[str], filename: str, content_type: str) -> Path:
    """Write the blocks to a file, which has its name once all of them are there.

    :param location: a folder, for a name that nothing there had before; or a path, where a file is replaced. What is
        there and is no file, such as a pipe or a device, is written to as it is.
    :param filename: the name that was sent, made safe for a folder; one is made of the type if it is empty.
    :returns: the file's path.
    :raises OSError: if it cannot be written; nothing of it is left then.
    """
    target = Path(location)
    reserved = target.is_dir()
    if reserved:
        default = "answer" + (mimetypes.guess_extension(content_type) or "")
        target = _reserve(target, safe_filename(filename or default, default))
    if target.exists() and not target.is_file():
        with target.open("wb") as stream:
            stream.writelines(blocks)
        return target
    # Beside it, since only on one file system a new name is given in one step; beside the file that a link leads to.
    place = target.resolve()
    part = place.with_name(f".{place.name[:100]}.{secrets.token_hex(8)}")
    try:
        with part.open("xb") as stream:
            stream.writelines(blocks)
        part.replace(place)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if reserved:
            target.unlink(missing_ok=True)
        if isinstance(error, OSError) and os.fspath(error.filename or "") == os.fspath(part):
            error.filename = os.fspath(target)  # the caller knows of no other
        raise
    return target


def _reserve(folder: Path, name: str) -> Path:
    """A path that nothing had before; an empty file holds it."""
    stem, suffix = os.path.splitext(name)
    for number in itertools.count(1):
        path = folder / (name if number == 1 else f"{stem} ({number}){suffix}")
        try:
            path.open("xb").close()
        except FileExistsError:
            continue
        return path
    raise AssertionError("numbers do not end")
