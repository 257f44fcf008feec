"""A DVC remote that is not a folder: S3, as a real HTTP server on this machine."""

import contextlib
import os
import shutil
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tagship import Corrupt, Unavailable
from tests.workbench import Workbench


@pytest.fixture
def bucket(bench: Workbench) -> Iterator[Any]:
    """The remote of ``bench`` is a bucket ``models`` of a server on loopback."""
    pytest.importorskip("dvc_s3")
    moto = pytest.importorskip("moto.server")
    import boto3

    with contextlib.ExitStack() as stack:
        server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        server.start()
        stack.callback(server.stop)
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            bench.monkeypatch.setenv(name, "sesame")
        bench.monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        bench.monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        client = boto3.resource("s3", endpoint_url=url)
        reset = urllib.request.Request(f"{url}/moto-api/reset", method="POST")
        urllib.request.urlopen(reset).close()  # the server's state is this process's
        made = client.create_bucket(Bucket="models")
        bench.dvc("remote", "add", "--quiet", "--force", "--default", "store", "s3://models/churn")
        bench.dvc("remote", "modify", "--quiet", "--local", "store", "endpointurl", url)
        bench.commit("Keep the models in a bucket")
        yield made


def _empty_cache(bench: Workbench) -> None:
    shutil.rmtree(bench.repo / ".dvc/cache")


def test_a_release_goes_to_the_bucket_and_a_deploy_comes_from_it(
    bench: Workbench, bucket: Any
) -> None:
    bench.release()
    assert [one.key.split("/")[:3] for one in bucket.objects.all()] == [["churn", "files", "md5"]]
    _empty_cache(bench)
    bench.manager.deploy()
    assert bench.live() == "model 1\n"


def test_a_folder_goes_to_the_bucket_and_comes_from_it(bench: Workbench, bucket: Any) -> None:
    (bench.repo / "bundle").mkdir()
    for number in range(20):
        (bench.repo / f"bundle/part-{number}").write_text(f"part {number}\n")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: bundle\n")
    bench.track("bundle")
    bench.commit()
    assert bench.manager.release().pushed_objects == 21
    _empty_cache(bench)
    path = bench.manager.deploy().path / "bundle"
    assert {p.name: p.read_text() for p in path.iterdir()} == {
        f"part-{number}": f"part {number}\n" for number in range(20)
    }


def test_bytes_that_were_changed_in_the_bucket_never_enter_the_cache(
    bench: Workbench, bucket: Any
) -> None:
    bench.release()
    _empty_cache(bench)
    (one,) = bucket.objects.all()
    one.put(Body=b"model X\n")
    with pytest.raises(Corrupt, match="the DVC remote has other bytes for md5:"):
        bench.manager.deploy()
    assert not bench.current.is_symlink()
    assert [f for _, _, files in os.walk(bench.repo / ".dvc/cache/files") for f in files] == []


def test_what_the_bucket_lacks_is_named(bench: Workbench, bucket: Any) -> None:
    bench.release()
    _empty_cache(bench)
    bucket.objects.all().delete()
    with pytest.raises(Unavailable, match="is in neither the DVC cache nor the DVC remote"):
        bench.manager.deploy()


def test_a_bucket_that_does_not_answer_leaves_no_tag(bench: Workbench, bucket: Any) -> None:
    bench.dvc(
        "remote", "modify", "--quiet", "--local", "store", "endpointurl", "http://127.0.0.1:9"
    )
    bench.commit()
    with pytest.raises(Unavailable) as caught:
        bench.manager.release()
    assert "sesame" not in caught.value.message
    assert bench.git("tag") == ""
