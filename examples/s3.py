"""Uploads go straight to S3, and come back from there: by izzati-storage.

pip install . './plugins/izzati-storage[s3]' 'moto[server]' && python examples/s3.py
curl -F photo=@rex.jpg localhost:5020
"""

import os

from izzati import Backend, Problem, file_return

BUCKET = os.environ.get("BUCKET")  # one of yours, with credentials where boto3 finds them; else one is made to try
kept = {}  # name to location, as a real program has it in its database


def keep(text, data):
    """Name each photo. Its bytes are in the bucket by now, and never were on this machine's disk."""
    for photo in data:
        kept[photo.sink.location.rpartition("/")[2]] = photo.sink.location
    return {"kept": list(kept)}


def show(text, data):
    """Send a photo from the bucket."""
    if text["name"] not in kept:
        raise Problem(404, "There is no photo of that name.")
    return file_return(kept[text["name"]])


def bucket_to_try():
    """Make a bucket in an S3 server that lives in this process: moto's, which keeps everything in memory."""
    import boto3  # noqa: PLC0415 - needed to try it, and for nothing else
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - likewise

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*server.get_host_and_port())
    os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "testing"  # noqa: S105 - it takes any
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="dogs")
    return "dogs"


if __name__ == "__main__":
    BUCKET = BUCKET or bucket_to_try()
    options = {"url": f"s3://{BUCKET}/photos", "key": "{id}-{name}"}
    Backend({"/": keep, "/photos/<name>": show}, require=["storage"], options={"storage": options}).run()
