"""A photo in, a photo out: Pillow makes it small.

pip install pillow && python examples/photos.py
curl -F photo=@rex.jpg -o small.jpg localhost:5020
"""

import io
import warnings

from PIL import Image, ImageOps

from izzati import Backend, Problem, file_return

FORMATS = ["JPEG", "PNG", "WEBP"]
# A small file may become a picture of gigabytes. Pillow warns from 89 million pixels on; here that is the end.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def shrink(text, data):
    """Make a photo small.

    A JPEG, PNG or WebP; `width` says how wide, 320 unless it is given.
    """
    if not data:
        raise Problem(400, "No photo arrived.", hint="Choose one, or take one.")
    width = text.get("width", "320")
    if not str(width).isdecimal() or not 1 <= int(width) <= 4096:
        raise Problem(400, f"The width is {width!r}, and must be a whole number from 1 to 4096.")
    try:
        with Image.open(data[0], formats=FORMATS) as photo:
            upright = ImageOps.exif_transpose(photo).convert("RGB")  # phones turn their photos by a note in the file
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Problem(413, "The photo has more pixels than this server takes. Send a smaller one.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise Problem(415, f"{data[0].filename!r} is no photo that is read here.", readable=FORMATS) from error
    upright.thumbnail((int(width), 4 * int(width)))
    small = io.BytesIO()
    upright.save(small, "JPEG")
    return file_return(small.getvalue(), filename="small.jpg")


if __name__ == "__main__":
    Backend(shrink).run()
