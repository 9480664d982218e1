"""Whoever issues credentials: keys and tokens signed with them, lines of an htpasswd file, a server of keys."""

from __future__ import annotations

import base64
import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import bcrypt
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

SECONDS = 20
"""An upper bound for whatever should take no time at all."""
ISSUER, AUDIENCE = "https://issuer.example", "dogs"


class Key:
    """A pair of keys: it signs tokens, and its public half is published under an id."""

    def __init__(self, private, id, algorithm, family):
        self.private, self.id, self.algorithm = private, id, algorithm
        self.published = {
            **family.to_jwk(private.public_key(), as_dict=True),
            "kid": id,
            "use": "sig",
            "alg": algorithm,
        }

    @classmethod
    def rsa(cls, id, size=2048):
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=size), id, "RS256", RSAAlgorithm)

    @classmethod
    def ec(cls, id, curve=None):
        return cls(ec.generate_private_key(curve or ec.SECP256R1()), id, "ES256", ECAlgorithm)

    @property
    def pem(self):
        public = self.private.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def private_pem(self):
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def token(self, *, headers=None, algorithm=None, **changes):
        """A token for ann; ``changes`` are claims, and None takes one away."""
        return signed(self.private, algorithm or self.algorithm, {"kid": self.id, **(headers or {})}, **changes)


def signed(key, algorithm, headers=None, **changes):
    claims = {"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, **changes}
    return jwt.encode(_without_none(claims), key, algorithm, _without_none(headers or {}))


def _without_none(values):
    return {name: value for name, value in values.items() if value is not None}


def part(value):
    """A part of a token: base64url of JSON, or of bytes."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def entry(name, password, cost=4):
    """A line of an htpasswd file, as ``htpasswd -B`` makes it."""
    return f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode().replace('$2b$', '$2y$')}\n"


class Issuer:
    """A server that publishes keys, counts who asks for them, and may keep them waiting."""

    def __init__(self, *keys):
        #: what it publishes; bytes are sent as they are
        self.body = None
        self.status, self.headers = 200, {}
        self.publish(*keys)
        self.asked = 0
        #: set when it has been asked; and it answers when that is set
        self.was_asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()
        self._port, self._server = 0, None

    def publish(self, *keys):
        self.body = json.dumps({"keys": [key.published for key in keys]}).encode()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}/jwks.json"

    def start(self):
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                issuer.was_asked.set()
                assert issuer.may_answer.wait(SECONDS)
                self.send_response(issuer.status)
                for name, value in {"Content-Length": str(len(issuer.body)), **issuer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(issuer.body)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                """Who asked has gone."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self):
        if self._server:
            self.may_answer.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(SECONDS)
            self._server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *reason):
        with suppress(OSError):
            self.stop()
