"""An application that does nothing: what it takes to measure."""


def app(environ, start_response):
    start_response("200 OK", [])
    return [b""]
