"""Pictures from anywhere: decoded within limits, and cut as the training stages cut theirs."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from api import pictures
from api.pictures import BadPicture
from pipeline import surfaces
from pipeline.surfaces import Pixels

ORIENTATION = 0x0112
BRICK = surfaces.photographs()[0]
# What an EXIF reader has to do, by orientation, to have the picture upright again: its inverse.
TURNS: dict[int, Callable[[Any], Any]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(np.transpose(a), 2),
    8: lambda a: np.rot90(a, -1),
}


def encoded(image: Image.Image | Any, kind: str = "PNG", **options: Any) -> bytes:
    """A file of an image, or of an array."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        file, kind, **options
    )
    return file.getvalue()


def refused(data: bytes, side: int = 48) -> tuple[int, str]:
    with pytest.raises(BadPicture) as error:
        pictures.patches(data, side)
    return error.value.status, error.value.message


def chunk(name: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(width: int, height: int, *more: bytes, pixels: bytes = b"") -> bytes:
    """A PNG of 8-bit grey that says it has this size; ``more`` are chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    ending = chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + ending


@pytest.mark.parametrize("photograph", surfaces.photographs(), ids=surfaces.CLASSES)
def test_a_photograph_of_the_training_gives_the_patches_of_the_training(
    photograph: Pixels,
) -> None:
    assert photograph.shape == (pictures.SIDE, pictures.SIDE)
    cut = surfaces.cut((photograph,), 0, photograph.shape[1], 48).pixels
    given_ = pictures.patches(encoded(photograph), 48)
    assert given_.shape == (100, 48, 48, 3)
    assert (given_ == surfaces.as_input(cut)).all()


def test_one_patch_is_given_as_it_is() -> None:
    patch = BRICK[100:148, 100:148]
    assert (pictures.patches(encoded(patch), 48) == surfaces.as_input(patch[np.newaxis])).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
def test_grey_is_the_same_in_each_kind_of_png(mode: str) -> None:
    assert (pictures.grey(encoded(Image.fromarray(BRICK).convert(mode)), 48) == BRICK).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_grey_is_nearly_the_same_in_each_kind_of_jpeg(mode: str) -> None:
    data = encoded(Image.fromarray(BRICK).convert(mode), "JPEG", quality=95)
    assert np.abs(pictures.grey(data, 48).astype(int) - BRICK).max() < 10


def test_of_16_bits_the_upper_8_count() -> None:
    assert (pictures.grey(encoded(BRICK.astype(np.uint16) * 256 + 255), 48) == BRICK).all()


def test_what_is_transparent_is_white_whatever_colour_it_hides() -> None:
    image = Image.new("RGBA", (48, 48), (0, 0, 0, 0))
    assert (pictures.grey(encoded(image), 48) == 255).all()
    half = Image.new("LA", (48, 48), (0, 128))
    assert (pictures.grey(encoded(half), 48) == 127).all()
    key = encoded(Image.new("L", (48, 48), 7), transparency=7)
    assert (pictures.grey(key, 48) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", TURNS)
def test_a_picture_is_turned_as_its_exif_data_say(orientation: int, kind: str) -> None:
    upright = np.zeros((64, 64), dtype=np.uint8)
    upright[:32, :32], upright[:32, 32:] = 255, 100  # no two of its eight views are the same
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = np.ascontiguousarray(TURNS[orientation](upright))
    seen = pictures.grey(encoded(stored, kind, exif=exif), 48)
    assert np.abs(seen.astype(int) - upright).max() < 10


def test_transparent_and_16_bit_pictures_are_turned_too() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    for stored in (Image.fromarray(BRICK).convert("LA"), Image.fromarray(BRICK.astype("u2") * 256)):
        assert (pictures.grey(encoded(stored, exif=exif), 48) == np.rot90(BRICK, 2)).all()


def test_damaged_exif_data_are_passed_over() -> None:
    data = encoded(BRICK, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert (pictures.grey(data, 48) == BRICK).all()


def test_a_large_picture_is_reduced_to_the_size_of_the_photographs() -> None:
    large = np.kron(BRICK, np.ones((3, 3), dtype=np.uint8))
    wide = np.pad(large, ((0, 0), (300, 300)))
    for data in (encoded(wide), encoded(wide, "JPEG", quality=95)):
        square = pictures.grey(data, 48)
        assert square.shape == BRICK.shape
        assert np.abs(square.astype(int) - BRICK).mean() < 8


def test_the_patches_are_of_the_middle_square() -> None:
    tall = np.zeros((148, 48), dtype=np.uint8)
    tall[50:98] = 200
    assert (pictures.patches(encoded(tall), 48) == 200).all()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (415, "this is neither a JPEG nor a PNG picture")),
        (b"GIF89a" + bytes(100), (415, "this is neither a JPEG nor a PNG picture")),
        (encoded(BRICK, "BMP"), (415, "this is neither a JPEG nor a PNG picture")),
        (encoded(BRICK, "WEBP"), (415, "this is neither a JPEG nor a PNG picture")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", (
            415, "this is neither a JPEG nor a PNG picture",
        )),
        (encoded(BRICK)[:-3000], (400, "the picture is damaged: it cannot be decoded")),
        (encoded(BRICK, "JPEG")[:5000], (400, "the picture is damaged: it cannot be decoded")),
        (encoded(BRICK[:47]), (
            422, "the picture has 512 x 47 pixels; at least 48 x 48 are needed",
        )),
        (bytes((10 << 20) + 1), (413, "the picture is larger than 10 MiB")),
        (png(5001, 5000), (413, "the picture has 5001 x 5000 pixels; 25 million are allowed")),
        (png(60_000, 60_000), (413, "the picture has too many pixels; 25 million are allowed")),
        (encoded(BRICK, "JPEG") + b"\xff\xda" * 101, (413, "the picture has more than 100 scans")),
    ],
    ids=[
        "nothing", "gif", "bmp", "webp", "svg", "half-a-png", "half-a-jpeg", "too-low", "too-long",
        "too-many-pixels", "bomb", "scans",
    ],
)  # fmt: skip
def test_what_is_no_picture_for_the_model_is_refused(
    data: bytes, expected: tuple[int, str]
) -> None:
    assert refused(data) == expected


def test_compressed_texts_of_a_png_are_not_unpacked_beyond_limits() -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in BRICK)
    assert (pictures.grey(png(512, 512, pixels=rows), 48) == BRICK).all()
    bomb = zlib.compress(bytes(2 << 20))
    for name in (b"zTXt", b"iCCP"):
        text = chunk(name, b"a\0\0" + bomb)
        assert refused(png(512, 512, text, pixels=rows))[0] == 400


PNG, JPEG = encoded(BRICK[:64, :64]), encoded(BRICK[:64, :64], "JPEG")


@given(
    data=st.sampled_from([PNG, JPEG]),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8),
    end=st.integers(0, 5000),
)
def test_whatever_is_changed_in_a_file_it_is_taken_or_refused(
    data: bytes, changes: list[tuple[int, int]], end: int
) -> None:
    changed = bytearray(data[:end])
    for place, value in changes:
        if place < len(changed):
            changed[place] = value
    try:
        patches = pictures.patches(bytes(changed), 48)
    except BadPicture as error:
        assert error.status in (400, 413, 415, 422)
    else:
        assert patches.shape[1:] == (48, 48, 3)
        assert 0 <= patches.min() <= patches.max() <= 255
