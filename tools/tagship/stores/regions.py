"""In which region a bucket of S3 is."""

from urllib.parse import quote, urlsplit

USUAL = "https://s3.amazonaws.com"
TIMEOUT = 10  # seconds


def of_bucket(bucket: str, endpoint: str | None) -> str | None:
    """The region that a bucket's own header names; None where it names none.

    S3 tells it to anybody, with whatever status it answers, so the question carries no
    credentials (``HeadBucket`` in the reference of the S3 API).

    Args:
        bucket: its name.
        endpoint: the address of the store; None for AWS.
    """
    import http.client  # rarely needed, and it imports a parser of mail

    parts = urlsplit(endpoint or USUAL)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        connection.request("HEAD", f"{parts.path.rstrip('/')}/{quote(bucket)}")
        return connection.getresponse().getheader("x-amz-bucket-region")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
