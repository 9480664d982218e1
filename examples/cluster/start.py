"""Everything on one machine (Linux): S3, a Ray cluster of a head and two nodes, three replicas, and nginx before them.

    pip install . './plugins/izzati-storage[s3]' ./plugins/izzati-ray 'moto[server]' && python examples/cluster/start.py

nginx is Debian's: apt-get install nginx. The site is at http://127.0.0.1:8000, or at the port given. Ctrl-C ends it.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import fsspec

HERE = Path(__file__).parent
S3 = """
import sys
from moto.server import ThreadedMotoServer

ThreadedMotoServer("127.0.0.1", int(sys.argv[1]), verbose=False).start()
sys.stdin.read()
"""
ENVIRONMENT = {
    **os.environ,
    # A token of this run's own: nobody else on this machine gets in.
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
    # A node that is lost is missed after 2 seconds; by default Ray is more patient.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    # And without a head the replicas say so after 5 seconds, rather than after 60.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
}
SECONDS = 60


def main(port=8000):
    ports = free_ports(5)
    s3_port, *replicas = ports[:4]
    port = port or ports[4]
    folder = Path(tempfile.mkdtemp(prefix="site-"))
    pieces = {}

    def start(name, *command, **environment):
        with (folder / f"{name}.log").open("wb") as log:
            pieces[name] = subprocess.Popen(  # noqa: S603 - the programs that are named below
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**ENVIRONMENT, **environment},
            )
        print(name, pieces[name].pid, flush=True)

    def start_node(name, address, *args):
        ray = [Path(sys.executable).with_name("ray"), "start", "--block", f"--node-ip-address={address}"]
        small = ["--object-store-memory=80000000", "--include-log-monitor=false"]
        start(name, *ray, *small, *args)
        until(lambda: "Ray runtime started" in (folder / f"{name}.log").read_text())

    try:
        start("s3", sys.executable, "-c", S3, str(s3_port))
        endpoint = f"http://127.0.0.1:{s3_port}"
        until(lambda: answers(endpoint))
        fsspec.filesystem("s3", endpoint_url=endpoint, key="testing", secret="testing").mkdir("photos")  # noqa: S106

        head = ["--head", "--port=0", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={folder}"]
        start_node("head", "127.0.0.12", *head)
        cluster = (folder / "ray_current_cluster").read_text()
        start_node("node-1", "127.0.0.13", f"--address={cluster}", "--num-cpus=1")
        start_node("node-2", "127.0.0.14", f"--address={cluster}", "--num-cpus=1")

        for number, each in enumerate(replicas, 1):
            app = [sys.executable, HERE / "app.py", str(each), endpoint]
            start(f"replica-{number}", *app, IZZATI_RAY_ADDRESS=cluster, IZZATI_BLOCK="auth,granian,page")
        for each in replicas:
            until(lambda each=each: answers(f"http://127.0.0.1:{each}/healthz"))

        configuration = (HERE / "nginx.conf").read_text()
        for old, new in zip((8000, 8001, 8002, 8003), (port, *replicas), strict=True):
            configuration = configuration.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
        (folder / "nginx.conf").write_text(configuration)
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        start("nginx", nginx, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log")
        until(lambda: answers(f"http://127.0.0.1:{port}/healthz"))
        print(f"S3 at {endpoint}, the site at http://127.0.0.1:{port}", flush=True)
        print(f"curl -F photo=@rex.jpg http://127.0.0.1:{port}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        for piece in reversed(pieces.values()):
            end(piece)
        shutil.rmtree(folder, ignore_errors=True)


def end(piece):
    piece.terminate()
    try:
        piece.wait(5)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(piece.pid, signal.SIGKILL)  # what it has left behind
    except ProcessLookupError:
        pass
    piece.communicate()


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=SECONDS):
            return True
    except OSError:
        return False


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("it did not start in time")
        time.sleep(0.05)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    main(*map(int, sys.argv[1:]))
