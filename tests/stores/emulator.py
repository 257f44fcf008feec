"""gcp-storage-emulator, with what it lacks of Google's XML API.

obstore reads and writes by that API. The real service answers HEAD, says when an object was last
modified and what its ETag is, and takes large objects in parts
(https://cloud.google.com/storage/docs/xml-api/reference-methods); the emulator does not.
"""

import hashlib
import re
import secrets
import sys
from http import HTTPStatus
from typing import Any

from gcp_storage_emulator import __main__ as emulator
from gcp_storage_emulator import server
from gcp_storage_emulator.handlers import objects

MODIFIED = "Fri, 20 Nov 2026 12:00:00 GMT"
NUMBER = re.compile(rb"<PartNumber>(\d+)</PartNumber>")
uploads: dict[str, dict[int, bytes]] = {}


class Response(server.Response):  # type: ignore[misc] # the emulator has no types
    """An answer; to HEAD without its body."""

    def close(self) -> None:
        """Send it."""
        if self._handler.command != "HEAD":
            super().close()
            return
        self._handler.send_response(self.status.value)
        for name, value in self._headers.items():
            self._handler.send_header(name, value)
        self._handler.send_header("Content-Length", str(len(self._content)))
        self._handler.end_headers()


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def _head(self: Any) -> None:
    server.Router(self).handle(server.GET)


def _get(request: Any, response: Any, storage: Any) -> None:
    """Give an object or a range of it, with the headers of the whole."""
    objects.download(request, response, storage)
    if response.status < HTTPStatus.BAD_REQUEST:
        place = (request.params["bucket_name"], request.params["object_id"])
        response["Last-Modified"] = MODIFIED
        response["ETag"] = f'"{storage.get_file_obj(*place)["md5Hash"]}"'


def _put(request: Any, response: Any, storage: Any) -> None:
    """Take an object, or a part of one."""
    if request.data is None:
        request._data = b""
    if "uploadId" not in request.query:
        objects.xml_upload(request, response, storage)
        response["ETag"] = _etag(request.data)
        return
    number = int(request.query["partNumber"][0])
    uploads[request.query["uploadId"][0]][number] = request.data
    response["ETag"] = _etag(request.data)


def _post(request: Any, response: Any, storage: Any) -> None:
    """Begin an upload in parts, or put the parts together that the request names."""
    if "uploadId" not in request.query:
        name = secrets.token_hex(8)
        uploads[name] = {}
        result = "InitiateMultipartUploadResult"
        parts = f"<Bucket>b</Bucket><Key>k</Key><UploadId>{name}</UploadId>"
    else:
        arrived = uploads.pop(request.query["uploadId"][0])
        request._data = b"".join(arrived[int(each)] for each in NUMBER.findall(request.data))
        objects.xml_upload(request, response, storage)
        result, parts = "CompleteMultipartUploadResult", f"<ETag>{_etag(request.data)}</ETag>"
    xml = f'<?xml version="1.0"?><{result}>{parts}</{result}>'
    response.write_file(xml.encode(), content_type="application/xml")


def main() -> None:
    """Run it as ``python -m tests.stores.emulator``, with the arguments of its own command."""
    server.Response = Response
    server.RequestHandler.do_HEAD = _head
    *_, (_, methods) = server.HANDLERS
    methods.update({server.GET: _get, server.PUT: _put, server.POST: _post})
    emulator.main(sys.argv[1:])


if __name__ == "__main__":
    main()
