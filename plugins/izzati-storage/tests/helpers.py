"""Functions that several test modules use."""

from __future__ import annotations

import hashlib
import time

from fsspec.implementations.local import LocalFileSystem

SECONDS = 20
"""After this anything that waits has failed."""
MEBIBYTE = 1 << 20
RAW = {"Content-Type": "application/octet-stream"}


def pattern(seed, size):
    """Bytes in which a block that is lost, doubled or moved shows."""
    block = hashlib.sha256(bytes([seed])).digest()
    return b"".join(b"%08x" % number + block for number in range(size // 40 + 1))[:size]


def form(*files, field="file"):
    """A form's body with these files, each a name and its content; and its headers."""
    parts = [
        b'--B\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
        % (field.encode(), name.encode(), content)
        for name, content in files
    ]
    return b"".join([*parts, b"--B--\r\n"]), {"Content-Type": "multipart/form-data; boundary=B"}


def named(name):
    """The headers of a body that is one file of this name."""
    return {**RAW, "Content-Disposition": f'attachment; filename="{name}"'}


def wait_for(condition):
    """Return what the condition gives as soon as that is true."""
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)  # between two looks, not instead of one
    return found


def locations(text, data):
    """A callback that answers where its uploads are."""
    return [file.sink.location for file in data]


class Noting(LocalFileSystem):
    """A folder, as a class of somebody's own that must see every file that is opened."""

    protocol = ("noting",)
    opened = ()

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("noting://"))

    def _open(self, path, mode="rb", **options):
        self.opened.append(mode)
        return super()._open(path, mode, **options)
