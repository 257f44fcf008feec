"""A picture that anybody may have sent, as grey patches like those that the model learned from."""

import io
import threading

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline import surfaces
from pipeline.surfaces import Pixels
from tagship import TagshipError

TYPES = {"image/jpeg": "JPEG", "image/png": "PNG"}
BYTES = 10 << 20
PIXELS = 25_000_000  # 100 MB as RGBA
SCANS = 100  # of a JPEG; a progressive one has about ten, and each costs a pass over all pixels
SIDE = 512  # of the photographs that the model learned from: a larger picture is reduced to it
_START_OF_SCAN = b"\xff\xda"  # never within the data of a scan, where 0xff is followed by 0x00
_TWO = threading.BoundedSemaphore(2)  # decoded at a time: each may take some hundred MB


class BadPicture(TagshipError):
    """The picture cannot be used.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def patches(data: bytes, side: int) -> NDArray[np.float32]:
    """The patches of a JPEG or PNG, edge to edge, as the training stages cut and convert them.

    Args:
        data: the file.
        side: of a patch, in pixels.

    Returns:
        N x side x side x 3, 0..255: of the middle square; at most 512 x 512 pixels of it, to which
        a larger picture is reduced.

    Raises:
        BadPicture: it is neither, it is damaged, too large or too small.
    """
    with _TWO:
        square = grey(data, side)
    return surfaces.as_input(surfaces.cut((square,), 0, square.shape[1], side).pixels)


def check(data: bytes) -> Image.Image:
    """Read the header of a picture, and decode nothing.

    Raises:
        BadPicture: it is neither a JPEG nor a PNG, or too large.
    """
    image = _open(data)
    width, height = image.size
    if width * height > PIXELS:
        raise BadPicture(
            413,
            f"the picture has {width} x {height} pixels; {PIXELS // 1_000_000} million are allowed",
        )
    return image


def grey(data: bytes, side: int) -> Pixels:
    """The middle square of a picture, the right way up, in 256 levels of grey."""
    image = check(data)
    width, height = image.size
    if min(width, height) < side:
        raise BadPicture(
            422, f"the picture has {width} x {height} pixels; at least {side} x {side} are needed"
        )
    try:
        image.draft("L", (SIDE, SIDE))  # a large JPEG is decoded at a fraction of its size
        image.load()
    except Exception as error:  # whatever a format's decoder raises at bad bytes
        raise BadPicture(400, "the picture is damaged: it cannot be decoded") from error
    return np.asarray(_square(_upright(_one_channel(image)), max(side, SIDE)))


def _open(data: bytes) -> Image.Image:
    if len(data) > BYTES:
        raise BadPicture(413, f"the picture is larger than {BYTES >> 20} MiB")
    if data.count(_START_OF_SCAN) > SCANS and data.startswith(b"\xff\xd8"):
        raise BadPicture(413, f"the picture has more than {SCANS} scans")
    try:
        return Image.open(io.BytesIO(data), formats=tuple(TYPES.values()))
    except UnidentifiedImageError:
        raise BadPicture(415, "this is neither a JPEG nor a PNG picture") from None
    except Image.DecompressionBombError:
        raise BadPicture(
            413, f"the picture has too many pixels; {PIXELS // 1_000_000} million are allowed"
        ) from None
    except Exception as error:  # whatever a format's reader raises at bad bytes
        raise BadPicture(400, "the picture is damaged: its header cannot be read") from error


def _one_channel(image: Image.Image) -> Image.Image:
    """8 bits of grey: the upper ones of 16, and white behind what is transparent."""
    if image.mode.startswith("I"):  # Pillow would cut off what is above 255
        levels = np.clip(np.asarray(image, dtype=np.int64), 0, 0xFFFF) >> 8
        return _keep_exif(Image.fromarray(levels.astype(np.uint8)), image)
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        flat = Image.new("RGBA", image.size, "white")
        flat.alpha_composite(colours)
        return _keep_exif(flat.convert("L"), image)
    return image.convert("L")


def _keep_exif(new: Image.Image, old: Image.Image) -> Image.Image:
    new.info |= {key: old.info[key] for key in ("exif",) if key in old.info}
    return new


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data say; a browser ignores damaged ones too."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - whatever a damaged block of EXIF data leads to
        return image


def _square(image: Image.Image, side: int) -> Image.Image:
    """The middle square, reduced if it is larger than ``side``."""
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    if edge <= side:
        return image.crop((left, top, left + edge, top + edge))
    box = (left, top, left + edge, top + edge)
    return image.resize((side, side), Image.Resampling.LANCZOS, box, reducing_gap=3)
