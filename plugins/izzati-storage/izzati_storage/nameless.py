"""Files without a name, of which nothing is left when a process is killed (O_TMPFILE of open(2))."""

from __future__ import annotations

import errno
import os
from typing import IO

__all__ = ["give_name", "open_nameless"]

_UNABLE = {errno.EISDIR, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
"""What a kernel or a file system says that has no such files, NFS among them."""


def open_nameless(folder: str) -> IO[bytes] | None:
    """A new file in this folder, to be written; None where the system has no files without a name.

    :raises OSError: if it cannot be made, as where the folder does not exist.
    """
    flag: int | None = getattr(os, "O_TMPFILE", None)
    if flag is None:
        return None
    try:
        file = open(os.open(folder, flag | os.O_WRONLY, 0o666), "wb")  # noqa: SIM115 - whoever asked closes it
    except OSError as error:
        if error.errno in _UNABLE:
            return None
        raise
    if os.path.exists(_proc(file)):
        return file
    file.close()  # in a root without /proc it could get no name
    return None


def give_name(file: IO[bytes], path: str) -> None:
    """Let it appear, in one step.

    :raises OSError: if it cannot. Something that is there is never replaced.
    """
    # A source directory makes Python pass AT_SYMLINK_FOLLOW, without which this would link the link.
    os.link(_proc(file), path, src_dir_fd=file.fileno(), follow_symlinks=True)


def _proc(file: IO[bytes]) -> str:
    return f"/proc/self/fd/{file.fileno()}"
