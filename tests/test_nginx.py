"""The example behind Debian's nginx, with the example's configuration."""

from __future__ import annotations

import http.client
import os
import shutil
import sys
from contextlib import closing
from importlib.metadata import entry_points

import pytest
from deployment import ROOT, Running, reserved
from helpers import SECONDS

from izzati.testing import Answer

EXAMPLE = ROOT / "examples" / "deploy"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or (NGINX is None and "CI" not in os.environ), reason="nginx is not installed"
)
# What Debian's own file has around those of conf.d, but that it is one process, and everything is in one folder.
MAIN = """
daemon off;
master_process off;
pid {folder}/pid;
events {{}}
http {{
    default_type application/octet-stream;
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/app.conf;
}}
"""
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
MIB = 1 << 20


class Site:
    """nginx, and the program behind it."""

    def __init__(self, program, port):
        self.program = program
        self.port = port

    def caller(self, address="127.0.0.1"):
        """A connection to nginx, from an address of this machine."""
        return http.client.HTTPConnection("127.0.0.1", self.port, SECONDS, source_address=(address, 0))

    def ask(self, body=None, headers=(), *, address="127.0.0.1", path="/", chunked=False):
        with closing(self.caller(address)) as connection:
            connection.request("POST", path, body, dict(headers), encode_chunked=chunked)
            response = connection.getresponse()
            return Answer(response.status, response.reason, response.headers, response.read())


@pytest.fixture(scope="module", params=["built-in", "granian"])
def site(request, tmp_path_factory):
    """The example, with one thread for requests, behind nginx."""
    folder = tmp_path_factory.mktemp("site")
    with reserved() as inner, reserved() as outer:
        source = (EXAMPLE / "app.py").read_text("utf-8")
        assert source.count("run(port=8000)") == 1
        (folder / "app.py").write_text(source.replace("run(port=8000)", f'run("127.0.0.1", {inner})'))
        one_thread = {"IZZATI_SERVER_THREADS": "1", "IZZATI_GRANIAN_BLOCKING_THREADS": "1"}
        others = {entry.name for entry in entry_points(group="izzati")} - {request.param}
        allowed = {"IZZATI_BLOCK": ",".join(others), "IZZATI_BROWSERS_ALLOW_HOSTS": "app.example,127.0.0.1"}
        program = Running([sys.executable, "app.py"], folder, inner, **one_thread, **allowed)
        nginx = None
        try:
            program.until_it_accepts()
            nginx = start_nginx(folder, outer, inner)
            yield Site(program, outer)
        finally:
            program.kill()
            if nginx is not None:
                nginx.kill()


def start_nginx(folder, port, app):
    assert NGINX, "nginx is not installed, and this is where nothing may be left out: apt-get install nginx"
    (folder / "nginx").mkdir()
    configuration = (EXAMPLE / "nginx.conf").read_text("utf-8")
    ours = configuration.replace("listen 80;", f"listen 127.0.0.1:{port};").replace(":8000;", f":{app};")
    (folder / "nginx" / "app.conf").write_text(ours)
    (folder / "nginx" / "main.conf").write_text(MAIN.format(folder=folder / "nginx"))
    words = [NGINX, "-p", folder / "nginx", "-e", folder / "nginx" / "error.log", "-c", folder / "nginx" / "main.conf"]
    return Running(words, folder / "nginx", port).until_it_accepts()


def test_json_arrives(site):
    assert site.ask(b'{"name": "Rex"}', JSON).json["text"] == {"name": "Rex"}


def test_an_upload_arrives(site):
    photo = os.urandom(3 * MIB)
    form = b'--b\r\nContent-Disposition: form-data; name="f"; filename="rex.jpg"\r\n\r\n' + photo + b"\r\n--b--\r\n"
    assert site.ask(form, FORM).json["files"] == {"rex.jpg": len(photo)}


def test_a_chunked_body_arrives_with_every_server_since_nginx_counts_it(site):
    answer = site.ask(iter([b"abc", b"defgh"]), {"Content-Type": "image/png"}, chunked=True)
    assert answer.json["files"] == {"": 8}


def test_callers_that_trickle_hold_up_nobody_although_the_program_has_one_thread(site):
    trickling = [site.caller() for _ in range(8)]
    try:
        for caller in trickling:
            caller.putrequest("POST", "/")
            caller.putheader("Content-Type", "image/png")
            caller.putheader("Content-Length", "6")
            caller.endheaders(b"abc")
        assert site.ask(b"{}", JSON).status == 200
        for caller in trickling:
            caller.send(b"def")
            assert caller.getresponse().status == 200
    finally:
        for caller in trickling:
            caller.close()


def test_the_callers_address_is_what_nginx_says_and_not_what_the_caller_says(site):
    answer = site.ask(headers={"X-Forwarded-For": "192.0.2.1"}, address="127.0.0.2")
    assert answer.json["address"] == "127.0.0.2"


def test_nginx_and_the_program_have_the_same_limit_and_tell_it_alike(site):
    refusals = []
    for port in (site.port, site.program.port):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as caller:
            caller.putrequest("POST", "/")
            caller.putheader("Content-Type", "image/png")
            caller.putheader("Content-Length", str(64 * MIB + 1))
            caller.endheaders()
            response = caller.getresponse()
            refusals.append(Answer(response.status, response.reason, response.headers, response.read()))
    ours, theirs = refusals
    assert ours.status == theirs.status == 413
    assert ours.headers["Content-Type"] == theirs.headers["Content-Type"] == "application/problem+json"
    shared = ("type", "status", "limit", "maximum")  # the title is each Python's own
    assert [ours.json[key] for key in shared] == [theirs.json[key] for key in shared]


def test_a_body_of_exactly_the_limit_passes_both(site):
    assert site.ask(bytes(64 * MIB), {"Content-Type": "image/png"}).json["files"] == {"": 64 * MIB}


def test_a_host_name_that_nginx_passes_on_has_to_be_allowed_on_a_loopback_address(site):
    assert site.ask(headers={"Host": "app.example"}).status == 200
    assert site.ask(headers={"Host": "elsewhere.example"}).status == 403
