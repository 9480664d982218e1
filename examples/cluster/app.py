"""One of several replicas: uploads go to S3, and one worker somewhere in the cluster looks at the uploads of all."""

import sys

import fsspec

from izzati import Backend, background


def look(q, access):
    """Write beside each upload how many bytes it has."""
    store = fsspec.filesystem("s3", **access)
    while True:
        location = q.get()
        store.pipe(location + ".looked-at", str(store.size(location)).encode())


def callback(text, data, q):
    for file in data:
        q.put(file.sink.location)
    return {"uploads": [file.sink.location for file in data]}


if __name__ == "__main__":
    port, endpoint = sys.argv[1:]
    access = {"endpoint_url": endpoint, "key": "testing", "secret": "testing"}
    p, q = background(look, args=(access,), name="look", restart=True)
    storage = {"url": "s3://photos/uploads", "options": {"s3": access}}
    Backend(callback, args=(q,), options={"storage": storage}).run("127.0.0.1", int(port))
