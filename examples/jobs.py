"""Slow work in the background, by the job: a caller is told where its result will be, and fetches it there.

pip install pillow && python examples/jobs.py
curl -F photo=@rex.jpg localhost:5020
"""

import uuid
from pathlib import Path

from PIL import Image, ImageFilter

from izzati import Backend, Problem, Reply, background, file_return

FOLDER = Path("jobs")


def paint(photo, painted):
    """Stand for work that takes its time."""
    with Image.open(photo) as sent:
        picture = sent.convert("RGB")
    for _ in range(3):
        picture = picture.filter(ImageFilter.ModeFilter(9))
    picture.save(painted, "JPEG")


def worker(q):
    while True:
        job = q.get()
        photo, painted = FOLDER / f"{job}.upload", FOLDER / f"{job}.part"
        try:
            paint(photo, painted)
            painted.rename(FOLDER / f"{job}.jpg")
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for a photo that is none
            print(f"job {job}: {error}", flush=True)
            (FOLDER / f"{job}.failed").touch()
        photo.unlink()


def begin(text, data, q):
    """Take a photo, to be painted over."""
    if not data:
        raise Problem(400, "No photo arrived.", hint="Choose one, or take one.")
    job = str(uuid.uuid4())
    data[0].save(FOLDER / f"{job}.upload")
    q.put(job)
    return Reply({"job": job}, status=202, headers={"Location": f"/jobs/{job}"})


def result(text, data, q):
    """Fetch what has become of it."""
    job = text["job"]
    if (FOLDER / f"{job}.upload").exists():
        return Reply({"waiting": True}, status=202, headers={"Retry-After": "1"})
    if (FOLDER / f"{job}.jpg").exists():
        return file_return(FOLDER / f"{job}.jpg")
    if (FOLDER / f"{job}.failed").exists():
        raise Problem(422, "The file is no photo.")
    raise Problem(404, "There is no such job.")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    p, q = background(worker, restart=True)
    Backend({"/": begin, "/jobs/<uuid:job>": result}, args=(q,)).run()
