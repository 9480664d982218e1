"""Slow work in the background: the callback only puts into a queue, from which another process greets."""

from izzati import Backend, background


def background_process(q, greeting):
    while True:
        print(greeting + ", " + q.get(), flush=True)


def callback(text, data, q):
    q.put(text["name"])
    return {"status": "OK"}


if __name__ == "__main__":
    p, q = background(background_process, args=("Hello",))  # or kwargs={"greeting": "Hello"}
    b = Backend(callback, args=(q,))  # or kwargs={"q": q}
    b.run()
