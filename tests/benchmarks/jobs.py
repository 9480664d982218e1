"""What every framework is asked to do: the requests, and what must come back. It needs nothing but Python."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlencode

__all__ = ["JOBS", "SENT", "Job", "prepare"]

MEGABYTE = 1 << 20
SENT = "sent.bin"
"""The file that is sent out, in the folder that :func:`prepare` has filled."""

TEXT = {"name": "Rex", "age": 4, "good": True, "tags": ["brown", "small"], "note": "n" * 131}
FORM = {"name": "Rex", "breed": "Jack Russell & Co.", "note": "He is a good dog, and knows it. " * 2}
FIELDS = {"name": "Rex", "note": "He is a good dog."}
BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"


class Job(NamedTuple):
    """One request, and its answer.

    :param title: what a table calls it.
    :param path: where it is sent, and the name under which a peer answers it.
    :param content_type: of its body; empty if it has none.
    :param body: opens it, in the folder that was prepared.
    :param fits: True if an answer's body is right.
    :param headers: further ones.
    """

    title: str
    path: str
    content_type: str
    body: Callable[[Path], IO[bytes]]
    fits: Callable[[bytes, Path], bool]
    headers: tuple[tuple[str, str], ...] = ()


def _in_memory(data: bytes) -> Callable[[Path], IO[bytes]]:
    return lambda folder: io.BytesIO(data)


def _json_of(expected: object) -> Callable[[bytes, Path], bool]:
    return lambda body, folder: bool(json.loads(body) == expected)


def _multipart(size: int) -> tuple[bytes, bytes]:
    """What comes before a file of that size in a form of two fields, and after it."""
    fields = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in FIELDS.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="rex.jpg"\r\n'
    return "".join([*fields, head, "Content-Type: image/jpeg\r\n\r\n"]).encode(), f"\r\n--{BOUNDARY}--\r\n".encode()


def _upload(megabytes: int) -> Job:
    def body(folder: Path) -> IO[bytes]:
        # A file, so that no byte of it is in the memory of who is measured; a small one is there anyway.
        file = open(folder / f"upload-{megabytes}", "rb", buffering=0)  # noqa: SIM115 - who asks closes it
        return file if megabytes > 1 else io.BytesIO(_once(file))

    return Job(
        f"multipart, two fields and {megabytes} MiB",
        "upload",
        f"multipart/form-data; boundary={BOUNDARY}",
        body,
        _json_of({**FIELDS, "size": megabytes * MEGABYTE}),
    )


def _once(file: IO[bytes]) -> bytes:
    with file:
        if file.name not in _READ:
            _READ[file.name] = file.read()
    return _READ[file.name]


_READ: dict[str, bytes] = {}
_LARGE = 64

JSON = Job(
    "200 bytes of JSON",
    "json",
    "application/json",
    _in_memory(json.dumps(TEXT, separators=(",", ":")).encode()),
    _json_of(TEXT),
)
JOBS = {
    "json": JSON,
    "plugins": JSON._replace(
        title="JSON, with auth, msgpack and a wrapper", headers=(("Authorization", "Bearer a-token-of-rex-0123456789"),)
    ),
    "form": Job(
        "form of three fields",
        "form",
        "application/x-www-form-urlencoded",
        _in_memory(urlencode(FORM).encode()),
        _json_of(FORM),
    ),
    "upload": _upload(1),
    "large-upload": _upload(_LARGE),
    "file": Job(
        "1 MiB file out",
        "file",
        "",
        _in_memory(b""),
        lambda body, folder: body == (folder / SENT).read_bytes(),
    ),
}


def prepare(folder: Path, jobs: Iterable[str]) -> None:
    """Make the files that are sent."""
    block = random.Random(0).randbytes(MEGABYTE)  # as good as a photo: no byte of it is more likely than another
    (folder / SENT).write_bytes(block)
    for megabytes in (1, *(_LARGE for job in jobs if job == "large-upload")):
        before, after = _multipart(megabytes * MEGABYTE)
        with (folder / f"upload-{megabytes}").open("wb") as file:
            file.write(before)
            for _ in range(megabytes):
                file.write(block)
            file.write(after)
