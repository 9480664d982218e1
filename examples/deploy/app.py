"""A program to be deployed: behind nginx, which says who is calling, and in a container."""

from werkzeug.middleware.proxy_fix import ProxyFix

from izzati import Backend, Limits, hookimpl


class BehindProxy:
    """Believes the proxy in front about the caller's address, and about https."""

    def __init__(self):
        self._fix = ProxyFix(lambda environ, start_response: [], x_for=1, x_proto=1)

    @hookimpl
    def izzati_admit(self, request):
        self._fix(request.environ, None)  # changes the environment in place


def callback(text, data, *, request):
    return {"text": text, "files": {file.filename: file.size for file in data}, "address": request.address}


# nginx.conf has the same limit: client_max_body_size.
backend = Backend(callback, plugins=[BehindProxy()], limits=Limits(body=64 << 20))

if __name__ == "__main__":
    # Every interface, as a container needs it. Beside nginx on one machine add host="127.0.0.1": whoever reaches this
    # program is believed about the caller's address.
    backend.run(port=8000)
