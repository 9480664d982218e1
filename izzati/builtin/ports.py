"""Which process holds a port, where the system tells."""

from __future__ import annotations

from pathlib import Path

__all__ = ["holder"]

_LISTENING = "0A"


def holder(port: int) -> str | None:
    """The process that listens at a TCP port, as ``process 1234 (python app.py)``; None if the system does not say.

    Linux only. Another user's process is told only to root.
    """
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listening(Path("/proc/net", table), port)}
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        try:
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                words = (process / "cmdline").read_bytes().split(b"\0")
                return f"process {process.name} ({b' '.join(words).decode(errors='replace').strip()})"
        except OSError:
            continue  # it has ended, or is not ours to look at
    return None


def _listening(table: Path, port: int) -> list[str]:
    """Inodes of the sockets that listen at this port (proc_net_tcp(5))."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []
    return [row[9] for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port]
