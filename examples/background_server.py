"""The web server in the background: what callers send arrives at the program's own queue."""

from izzati import Backend


def callback(q, text, data):
    q.put(text)
    return {"status": "OK"}


if __name__ == "__main__":
    b = Backend(callback, background=True)
    p, q = b.run()
    while True:
        print(q.get(), flush=True)
