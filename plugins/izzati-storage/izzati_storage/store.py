"""The plugin: its options, where uploads go, and locations that callbacks save at and return."""

from __future__ import annotations

import itertools
import logging
import os
import re
import secrets
from collections.abc import Collection, Generator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from izzati import (
    BLOCK,
    Call,
    Request,
    Secret,
    Sink,
    Storage,
    StoredFile,
    Upload,
    UploadedFile,
    hookimpl,
)
from izzati_storage.keys import KeyTemplate, plain_name
from izzati_storage.reader import open_stored
from izzati_storage.remote import Remote, Remotes, is_known, scheme_of
from izzati_storage.sink import Received, StoreSink
from izzati_storage.writers import Writer, remove, reserve, writer_to

__all__ = ["Store"]

log = logging.getLogger("izzati.storage")

SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "sftp", "ssh")
_NEVER = ("", "data", "file", "http", "https", "local")
_LOCAL = ("file", "local")
_STATE = "storage"
_SMALLEST = 5 << 20
# Numbers that are tried for a name that is taken; after them chance finds a free one at once.
_NUMBERS = 10


class Store(Storage):
    """Streams uploads to a store, and saves and opens files in any.

    :param url: where uploads go: ``s3://bucket/uploads``, ``file:///srv/uploads``. Unless given they are left to the
        next plugin, the built-in spool.
    :param key: the name of each below ``url``. It must have ``{id}``, which is random, and may have ``{date}`` (UTC),
        ``{name}`` (the file's, made safe), ``{field}`` (the form's) and ``{identity}`` (the caller's).
    :param keep_failed: True if uploads stay where the callback raised, too.
    :param schemes: of locations that callbacks may save at and return; that of ``url`` is among them.
    :param options: for each scheme a mapping of what fsspec's file system takes, such as
        ``{"s3": {"endpoint_url": …}}``. What is not given its library finds as it always does.
    :param block: bytes that are sent at a time, and of which an upload takes about three times as much memory.
    :raises ValueError: if one of these makes no sense.
    :raises UnknownScheme: if the library for ``url`` is not installed.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str = "{date}/{id}-{name}",
        keep_failed: bool = False,
        schemes: Sequence[str] = SCHEMES,
        options: Secret[Mapping[str, Any] | None] = None,
        block: int = 8 << 20,
    ) -> None:
        self._made_with = (url, key, keep_failed, schemes, options, block)
        for scheme in schemes:
            if scheme in _NEVER or not is_known(scheme):
                raise ValueError(
                    f"storage: schemes has {scheme!r}, which is not the scheme, in lower case, of a store that fsspec "
                    "opens. Files on this machine are opened by the built-in spool, and web pages by nobody"
                )
        if block < _SMALLEST:
            raise ValueError(f"storage: block={block} is less than {_SMALLEST} bytes, the smallest part that S3 takes")
        self._keep_failed = keep_failed
        self._block = block
        self._url = _checked(url) if url is not None else None
        of_url = scheme_of(url or "")
        self.schemes = tuple(dict.fromkeys([*schemes, *([of_url] if of_url and of_url not in _LOCAL else [])]))
        self._remotes = Remotes(_checked_options(options or {}, {*self.schemes, of_url}), block)
        folder = ""
        if self._url is not None:
            remote, folder = self._remotes.find(self._url)  # loads the library now rather than in the first request
            if remote.names_nothing(f"{folder}/key"):
                raise ValueError(f"storage: url={url!r} needs a bucket, as in {remote.scheme}://bucket/uploads")
        self._key = KeyTemplate(key, folder)

    def sink(self, upload: Upload, request: Request) -> Sink | None:
        if self._url is None:
            return None
        location = f"{self._url}/{self._key.key(upload, request.identity)}"
        remote, path = self._remotes.find(location)
        if remote.scheme in _LOCAL:
            location = path  # which spool, that opens it, would not take as a URL if it has a % in it
        received: Received = request.state.setdefault(_STATE, Received(request.id, self._block, self._keep_failed))
        return received.begin(remote, path, location)

    @hookimpl(wrapper=True)
    def izzati_call(self, call: Call) -> Generator[None, Any, Any]:
        received: Received | None = call.request.state.get(_STATE)
        if received is not None:
            received.call = call
        return (yield)

    def open(self, location: str) -> StoredFile:
        return open_stored(*self._remotes.find(location))

    def save(self, file: UploadedFile, location: str) -> str:
        if location.endswith("/"):
            return self._save_in(file, location)
        remote, path = self._remotes.find(location)
        if remote.names_nothing(path):
            raise ValueError(
                f"{location!r} names no file: write a key behind it, or a slash to keep the upload's own name"
            )
        _place(file.sink, remote, path)
        return location

    def _save_in(self, file: UploadedFile, folder: str) -> str:
        """Save under the upload's own name, or the first with a number that is free."""
        stem, suffix = os.path.splitext(plain_name(file.filename))
        for number in itertools.count(1):
            mark = number if number <= _NUMBERS else secrets.token_hex(8)
            location = f"{folder}{stem}{suffix}" if number == 1 else f"{folder}{stem} ({mark}){suffix}"
            remote, path = self._remotes.find(location)
            if remote.names_nothing(path):
                raise ValueError(f"{folder!r} is no folder: write a bucket's name before its last slash")
            try:
                reserve(remote, path)
            except FileExistsError:
                continue
            try:
                _place(file.sink, remote, path)
            except BaseException:
                remove(remote, path)
                raise
            return location
        raise AssertionError("numbers do not end")

    def __reduce__(self) -> Any:
        """Another process makes its own connections."""
        return partial(type(self), *self._made_with), ()


def _checked(url: str) -> str:
    """The URL, its scheme in lower case, without slashes at its end."""
    scheme = scheme_of(url)
    if urlsplit(url).password is not None:
        raise ValueError(
            f"storage: url has a password, and would be printed with it: write options={{{scheme!r}: "
            '{"password": …}}, which are not'
        )
    if not scheme:
        raise ValueError(f"storage: url={url!r} has no scheme; a folder is written file:///srv/uploads")
    if not is_known(scheme) or (scheme in _NEVER and scheme not in _LOCAL):
        raise ValueError(f"storage: url={url!r} has a scheme of which fsspec knows no store that takes uploads")
    if re.search(r"::|[?#\x00-\x1f\x7f]", url):
        raise ValueError(f"storage: url={url!r} has a ?, a #, a :: or a control character, and no folder's name has")
    return f"{scheme}://{url[len(scheme) + 3 :].rstrip('/')}"


def _checked_options(options: Mapping[str, Any], schemes: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    """The options of each scheme. What is wrong with them is said without their values, which are secret."""
    for scheme, its in options.items():
        if scheme not in schemes:
            raise ValueError(
                f"storage: options has {scheme!r}, and takes a table for each scheme: options={{'s3': {{…}}}}; there "
                f"are {', '.join(sorted(filter(None, schemes)))}"
            )
        if not isinstance(its, Mapping):
            raise ValueError(  # noqa: TRY004 - as for every other option
                f"storage: options[{scheme!r}] takes a table, not {type(its).__name__}"
            )
    return options


def _place(source: Sink, remote: Remote, path: str) -> None:
    """Put an upload at this place, in one step."""
    if isinstance(source, StoreSink) and source.remote is remote:
        if source.path == path:
            source.kept = True  # it is there
            return
        if remote.objects:
            with remote.use() as file_system:
                file_system.cp_file(source.path, path)
            return
    _copy(source, writer_to(remote, path))


def _copy(source: Sink, writer: Writer) -> None:
    try:
        with source.open() as stream:
            while block := stream.read(BLOCK):
                writer.write(block)
        writer.commit()
    except BaseException:
        try:
            writer.discard()
        except OSError:
            log.exception("what was written of a file that could not be saved is left behind")
        raise
