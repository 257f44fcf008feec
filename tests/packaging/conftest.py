"""The image of packaging/container, built once for all that run it."""

from collections.abc import Iterator

import pytest

from tests.packaging import container
from tests.packaging.container import podman

FILE = container.ROOT / "packaging" / "container" / "Containerfile"


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest) -> Iterator[str]:
    """The image, built from this clone and the wheels."""
    if not request.config.getoption("containers"):
        pytest.skip("needs --containers: make container-test")
    if why := container.lacking():
        pytest.skip(why)
    podman("import", "--quiet", str(container.BASE), "localhost/base")
    arguments = {"BASE": "localhost/base", "EXTRAS": container.EXTRAS, "PIP_NO_INDEX": "1",
                 "PIP_FIND_LINKS": "/wheels"}  # fmt: skip
    given = [word for pair in arguments.items() for word in ("--build-arg", "=".join(pair))]
    podman("build", "--network", "none", "--volume", f"{container.WHEELS}:/wheels:ro", *given,
           "--file", str(FILE), "--tag", "tagship", str(container.ROOT))  # fmt: skip
    yield "tagship"
    podman("system", "reset", "--force", check=False)
