"""Both at once: a server in the background, a worker in the background, and the program free for its own work."""

from izzati import Backend, background


def greeter(q, greeting):
    while True:
        print(greeting + ", " + q.get(), flush=True)


def callback(webq, text, data, q):
    q.put(text["name"])
    webq.put(text)
    return {"status": "OK"}


if __name__ == "__main__":
    p, q = background(greeter, args=("Hello",))
    webp, webq = Backend(callback, args=(q,), background=True).run()
    while True:
        print("The server passed on", webq.get(), flush=True)
