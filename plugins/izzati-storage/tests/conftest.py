"""Real stores to test with: an S3 server, an SFTP server, a folder."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

pytest_plugins = ["izzati.testing"]

# It keeps what it is sent in memory, so it is a process of its own; it ends when its input does.
MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=True)
server.start()
print("port", server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
SSHD = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""


@dataclass
class Moto:
    """An S3 server."""

    port: int
    log: Path

    def saw(self, line):
        """True if it has got a request that begins like this."""
        return f'"{line}' in self.log.read_text("utf-8", "replace")


@dataclass
class Bucket:
    """A bucket of the S3 server, and what reaches it."""

    name: str
    client: Any
    options: dict[str, Any]

    def keys(self):
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def parts(self):
        """Keys of multipart uploads that have not ended."""
        return [each["Key"] for each in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]

    def kept(self):
        return [*self.keys(), *(f"{key} (parts)" for key in self.parts())]

    def content(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()


@dataclass
class Ssh:
    """An SSH server: OpenSSH's own, one process for each connection."""

    folder: Path
    binary: str
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    processes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def port(self):
        return self.listener.getsockname()[1]

    @property
    def url(self):
        return f"sftp://127.0.0.1:{self.port}"

    @property
    def options(self):
        return {
            "username": getpass.getuser(),
            "key_filename": str(self.folder / "user_key"),
            "allow_agent": False,
            "look_for_keys": False,
            "known_hosts": str(self.folder / "known_hosts"),
        }

    def serve(self):
        with (self.folder / "log").open("ab") as log:
            while True:
                try:
                    connection, _ = self.listener.accept()
                except OSError:
                    return
                with connection:
                    command = [self.binary, "-i", "-e", "-f", self.folder / "sshd_config"]
                    self.processes.append(subprocess.Popen(command, stdin=connection, stdout=connection, stderr=log))

    def hang_up(self):
        """End every connection that there is, but not those that are made meanwhile, by whoever notices first."""
        for _ in range(len(self.processes)):
            process = self.processes.pop(0)
            process.kill()
            process.wait(20)


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    """An S3 server: moto's."""
    log = tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-W", "ignore", "-c", MOTO]
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        port = next((int(line.split()[1]) for line in process.stdout if line.startswith(b"port ")), None)
        assert port, f"moto's server did not start: {log.read_text()}"
        yield Moto(port, log)
        process.stdin.close()


@pytest.fixture(scope="session")
def numbers():
    return iter(range(1_000_000))


@pytest.fixture
def bucket(moto, numbers):
    """A bucket that is empty."""
    access = {"endpoint_url": f"http://127.0.0.1:{moto.port}", "key": "testing", "secret": "testing"}
    client = boto3.client(
        "s3",
        endpoint_url=access["endpoint_url"],
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    name = f"bucket-{next(numbers)}"
    client.create_bucket(Bucket=name)
    yield Bucket(name, client, {"s3": access})
    client.close()


@pytest.fixture(scope="session")
def ssh(tmp_path_factory):
    """An SFTP server, with a host key, a user's key and a file known_hosts of its own."""
    binary = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if binary is None or shutil.which("ssh-keygen") is None:
        pytest.fail("these tests need OpenSSH's server: apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd, as root, wants to be confined
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "sshd_config").write_text(SSHD.format(folder=folder))
    server = Ssh(folder, binary)
    kind, key, *_ = (folder / "host_key.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield server
    with suppress(OSError):
        server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()
    thread.join(20)
    server.hang_up()
