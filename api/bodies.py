"""The body of a request, read within limits: JSON, a picture, or a form with a picture."""

from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

FORM = "multipart/form-data"
FORM_OVERHEAD = 1 << 16  # bytes of a form besides its file
OTHER_FIELDS = 8


class BadBody(Exception):
    """A body that is not taken.

    Attributes:
        status: of HTTP.
        message: why, in words.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


async def whole(request: Request, types: tuple[str, ...], limit: int) -> bytes:
    """A body of one of these types.

    Args:
        request: what was sent.
        types: of media, in lower case.
        limit: in bytes.

    Raises:
        BadBody: it has another type, or is too large.
    """
    kind = _kind(request)
    if kind not in types:
        raise BadBody(415, f"send {' or '.join(types)} and say so in Content-Type")
    return b"".join([chunk async for chunk in _within(request, limit)])


async def whole_or_form(request: Request, types: tuple[str, ...], limit: int) -> bytes:
    """The same; or the one file of a form, whatever the name of its field.

    Raises:
        BadBody: as for ``whole``; or the form is no form, has not one file, or comes from a page of
            another site, which may send a form without asking.
    """
    if _kind(request) != FORM:
        return await whole(request, (*types, FORM), limit)
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise BadBody(403, "a form is not taken from a page of another site")
    stream = _within(request, limit + FORM_OVERHEAD)
    parser = MultiPartParser(request.headers, stream, max_files=1, max_fields=OTHER_FIELDS)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BadBody(400, f"this is no form with one file: {error.message}") from None
    except (KeyError, UnicodeError):  # no boundary, or one that is no text
        raise BadBody(400, "this is no form: its boundary is missing") from None
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise BadBody(400, "the form has no file")
        return await files[0].read(limit + 1)
    finally:
        await form.close()


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _within(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The pieces of the body, up to a limit.

    The rest is read and dropped: a client that is still sending would not see the answer. The guard
    of tagship's app bounds it.
    """
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size <= limit:
            yield piece
    if size > limit:
        raise BadBody(413, f"the body is larger than {limit} bytes")
