"""The registry that docker speaks to, as OCI's distribution specification asks for it, in the order of its conformance
suite: pull, push, content discovery, content management. And who may.
"""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest

from tests.conftest import World
from tests.rooms.registering import CONFIG, IMAGE, INDEX, LAYER, RegistryClient, basic, described, digest_of
from turnout.ecr.blobs import Blobs

MISSING = "The repository with name 'nowhere' does not exist in the registry with id '000000000000'"


@pytest.fixture
def client(world: World) -> RegistryClient:
    for name in ("hello", "team/other"):
        world.boto("ecr").create_repository(repositoryName=name)
    return RegistryClient(world)


# Who may


def test_without_a_token_nothing_is_told(client: RegistryClient) -> None:
    for authorization in ("", "Basic !", basic("AWS", "no.token"), basic("root", "x"), "Bearer x"):
        answered = client.ask("GET", "", Authorization=authorization)
        assert (answered.status, answered.error) == (401, ("UNAUTHORIZED", "Not Authorized"))
        assert answered.headers["www-authenticate"] == (
            'Basic realm="http://127.0.0.1:4566/",service="ecr.amazonaws.com"'
        )
    assert client.ask("GET", "hello/tags/list", Authorization="").status == 401
    answered = client.ask("GET", "")
    assert (answered.status, answered.headers["docker-distribution-api-version"]) == (200, "registry/2.0")


def test_a_token_is_good_for_twelve_hours_also_beyond_a_restart(world: World, client: RegistryClient) -> None:
    (data,) = world.boto("ecr").get_authorization_token()["authorizationData"]
    assert abs(data["expiresAt"].timestamp() - world.clock.now() - 12 * 3600) <= 1
    world.reboot()
    world.clock.advance(12 * 3600 - 2)
    assert client.ask("GET", "").status == 200
    world.clock.advance(3)
    expired = client.ask("GET", "")
    message = "Your authorization token has expired. Reauthenticate and try again."
    assert (expired.status, expired.error) == (403, ("DENIED", message))


def test_a_token_of_another_home_is_none_here(client: RegistryClient, world: World) -> None:
    (world.home / "ecr" / "secret").unlink()
    assert client.ask("GET", "").status == 401


def test_a_page_of_another_origin_cannot_push(client: RegistryClient) -> None:
    assert client.ask("POST", "hello/blobs/uploads/", Origin="http://evil.example").status == 403


# Pull


def test_an_image_is_pulled_by_tag_and_by_digest_with_and_without_its_body(client: RegistryClient) -> None:
    manifest = client.image("hello", b"layer")
    digest = client.put("hello", "1", manifest).headers["docker-content-digest"]
    for reference in ("1", digest):
        head = client.ask("HEAD", f"hello/manifests/{reference}")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["docker-content-digest"] == digest
        got = client.ask("GET", f"hello/manifests/{reference}")
        assert (got.document, got.headers["content-type"]) == (manifest, IMAGE)
        assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.body))
    for reference in ("2", f"sha256:{'0' * 64}"):
        missing = client.ask("GET", f"hello/manifests/{reference}")
        assert (missing.status, missing.error) == (404, ("MANIFEST_UNKNOWN", "Requested image not found"))
        assert client.ask("HEAD", f"hello/manifests/{reference}").status == 404


@pytest.mark.parametrize(
    ("asked", "status", "got", "span"),
    [
        (None, 200, b"0123456789", None),
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=7-99", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_layer_is_pulled_whole_or_in_part(
    client: RegistryClient, asked: str | None, status: int, got: bytes | None, span: str | None
) -> None:
    digest = client.push_layer("hello", b"0123456789")
    answered = client.ask("GET", f"hello/blobs/{digest}", headers={"Range": asked} if asked else {})
    assert (answered.status, answered.headers.get("content-range")) == (status, span)
    if got is not None:
        assert answered.body == got
        head = client.ask("HEAD", f"hello/blobs/{digest}", headers={"Range": asked} if asked else {})
        assert (head.headers["content-length"], head.body) == (str(len(got)), b"")


def test_a_layer_is_only_in_the_repositories_that_it_was_pushed_to(client: RegistryClient) -> None:
    digest = client.push_layer("hello", b"secret")
    assert client.ask("GET", f"team/other/blobs/{digest}").error[0] == "BLOB_UNKNOWN"
    assert client.ask("HEAD", f"hello/blobs/{digest}").status == 200
    assert client.ask("GET", "hello/blobs/sha256:short").error[0] == "DIGEST_INVALID"


# Push


def test_a_repository_that_is_not_there_is_named_in_awss_words(client: RegistryClient) -> None:
    for method, path in (
        ("POST", "blobs/uploads/"),
        ("PUT", "manifests/1"),
        ("GET", "manifests/1"),
        ("GET", "tags/list"),
    ):
        answered = client.ask(method, f"nowhere/{path}", b"{}")
        assert (answered.status, answered.error) == (404, ("NAME_UNKNOWN", MISSING))


def test_a_layer_is_pushed_in_one_request(client: RegistryClient) -> None:
    digest = digest_of(b"whole")
    made = client.ask("POST", f"hello/blobs/uploads/?digest={digest}", b"whole")
    assert (made.status, made.headers["location"]) == (201, f"/v2/hello/blobs/{digest}")
    assert client.ask("GET", made.headers["location"]).body == b"whole"
    begun = client.ask("POST", "hello/blobs/uploads/")
    ended = client.ask("PUT", f"{begun.headers['location']}?digest={digest_of(b'')}", b"")
    assert ended.status == 201
    assert client.ask("GET", f"hello/blobs/{digest_of(b'')}").body == b""


def test_a_layer_is_pushed_in_chunks_which_must_follow_each_other(client: RegistryClient) -> None:
    at = client.ask("POST", "hello/blobs/uploads/").headers["location"]
    first = client.ask("PATCH", at, b"01234", {"Content-Range": "0-4"})
    assert (first.status, first.headers["range"], first.headers["location"]) == (202, "0-4", at)
    wrong = client.ask("PATCH", at, b"789", {"Content-Range": "7-9"})
    assert (wrong.status, wrong.headers["range"], wrong.error[0]) == (416, "0-4", "BLOB_UPLOAD_INVALID")
    asked = client.ask("GET", at)
    assert (asked.status, asked.headers["range"], asked.headers["location"]) == (204, "0-4", at)
    digest = digest_of(b"0123456789")
    ended = client.ask("PUT", f"{at}?digest={digest}", b"56789", {"Content-Range": "5-9"})
    assert (ended.status, ended.headers["docker-content-digest"]) == (201, digest)
    assert client.ask("GET", f"hello/blobs/{digest}").body == b"0123456789"
    assert client.ask("GET", at).error[0] == "BLOB_UPLOAD_UNKNOWN"


def test_an_upload_goes_on_where_it_was_when_the_engine_was_killed(world: World, client: RegistryClient) -> None:
    at = client.ask("POST", "hello/blobs/uploads/").headers["location"]
    client.ask("PATCH", at, b"before ")
    world.reboot()
    assert client.ask("GET", at).headers["range"] == "0-6"
    client.ask("PATCH", at, b"after")
    digest = digest_of(b"before after")
    assert client.ask("PUT", f"{at}?digest={digest}").status == 201
    assert client.ask("GET", f"hello/blobs/{digest}").body == b"before after"


def test_what_has_come_of_a_broken_off_chunk_is_kept(world: World, client: RegistryClient) -> None:
    at = client.ask("POST", "hello/blobs/uploads/").headers["location"]
    came: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[dict[str, Any]] = []
    headers = [(b"host", client.host.encode()), (b"authorization", client.authorization.encode())]
    scope = {"type": "http", "method": "PATCH", "path": at, "query_string": b"", "headers": headers}

    async def receive() -> dict[str, Any]:
        return came.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    world.run(world.engine.gateway(scope, receive, send))
    assert sent == []
    assert client.ask("GET", at).headers["range"] == "0-3"


def test_a_layer_that_is_not_what_was_said_does_not_come_to_be(client: RegistryClient) -> None:
    at = client.ask("POST", "hello/blobs/uploads/").headers["location"]
    wrong = client.ask("PUT", f"{at}?digest={digest_of(b'other')}", b"this")
    assert (wrong.status, wrong.error[0]) == (400, "DIGEST_INVALID")
    assert digest_of(b"this") in wrong.error[1]
    assert client.ask("GET", at).status == 404
    for body in (b"this", b"other"):
        assert client.ask("HEAD", f"hello/blobs/{digest_of(body)}").status == 404
    at = client.ask("POST", "hello/blobs/uploads/").headers["location"]
    for digest in ("", "sha512:1"):
        assert client.ask("PUT", f"{at}?digest={digest}", b"this").error[0] == "DIGEST_INVALID"


def test_an_upload_can_be_broken_off_and_belongs_to_its_repository(client: RegistryClient) -> None:
    at = client.ask("POST", "hello/blobs/uploads/").headers["location"]
    assert client.ask("GET", at.replace("hello", "team/other")).status == 404
    assert client.ask("DELETE", at).status == 204
    assert client.ask("PATCH", at, b"x").error[0] == "BLOB_UPLOAD_UNKNOWN"


def test_a_layer_is_mounted_from_another_repository(world: World, client: RegistryClient) -> None:
    digest = client.push_layer("hello", b"shared")
    mounted = client.ask("POST", f"team/other/blobs/uploads/?mount={digest}&from=hello")
    assert (mounted.status, mounted.headers["location"]) == (201, f"/v2/team/other/blobs/{digest}")
    assert client.ask("GET", mounted.headers["location"]).body == b"shared"
    for query in (f"mount={digest_of(b'no')}&from=hello", f"mount={digest}&from=nowhere", f"mount={digest}"):
        assert client.ask("POST", f"hello/blobs/uploads/?{query}").status == 202
    world.boto("ecr", "eu-west-1").create_repository(repositoryName="far")
    far = client.ask("POST", f"eu-west-1/far/blobs/uploads/?mount={digest}&from=hello")
    assert far.headers["location"] == f"/v2/eu-west-1/far/blobs/{digest}"


def test_a_manifest_is_taken_only_with_everything_that_it_names(client: RegistryClient) -> None:
    manifest = client.image("hello", b"layer")
    unknown = {**manifest, "layers": [described(LAYER, b"never pushed")]}
    pushed = client.put("hello", "1", unknown)
    assert (pushed.status, pushed.error[0]) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert digest_of(b"never pushed") in pushed.error[1]
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    assert client.put("hello", "1", {**manifest, "layers": [described(foreign, b"x")]}).status == 201
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [described(IMAGE, b"{}")]}
    assert client.put("hello", "2", index).error[0] == "MANIFEST_BLOB_UNKNOWN"
    for body in (b"{", b"[]", b"{}", json.dumps({"schemaVersion": 1}).encode(), b"\xff"):
        answered = client.ask("PUT", "hello/manifests/3", body, {"Content-Type": IMAGE})
        assert (answered.status, answered.error[0]) == (400, "MANIFEST_INVALID")
    assert client.ask("PUT", "hello/manifests/3", b" " * (4 << 20) + b"{}").error[0] == "SIZE_INVALID"
    assert client.put("hello", digest_of(b"no"), manifest).error[0] == "DIGEST_INVALID"
    assert client.put("hello", "-no", manifest).error[0] == "TAG_INVALID"
    assert client.ask("GET", "hello/tags/list").document["tags"] == ["1"]


def test_pushing_the_same_again_is_no_error_and_no_second_event(world: World, client: RegistryClient) -> None:
    heard: list[dict[str, Any]] = []
    world.aws.listen(lambda tx, event: heard.append(event.detail))
    manifest = client.image("hello", b"layer")
    for reference in ("1", "1", "2", digest_of(json.dumps(manifest).encode())):
        assert client.put("hello", reference, manifest).status == 201
    assert [(each["action-type"], each["image-tag"]) for each in heard] == [("PUSH", "1"), ("PUSH", "2")]
    assert heard[0] == {
        "result": "SUCCESS",
        "repository-name": "hello",
        "image-digest": digest_of(json.dumps(manifest).encode()),
        "action-type": "PUSH",
        "image-tag": "1",
        "manifest-media-type": IMAGE,
        "artifact-media-type": CONFIG,
    }


def test_an_index_of_several_platforms_holds_its_images(world: World, client: RegistryClient) -> None:
    images = [client.image("hello", body) for body in (b"amd", b"arm64")]
    for image in images:
        assert client.put("hello", digest_of(json.dumps(image).encode()), image).status == 201
    bodies = [json.dumps(image).encode() for image in images]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [described(IMAGE, body) for body in bodies]}
    digest = client.put("hello", "multi", index).headers["docker-content-digest"]
    assert client.ask("GET", "hello/manifests/multi").document == index
    ecr = world.boto("ecr")
    (detail,) = ecr.describe_images(repositoryName="hello", imageIds=[{"imageTag": "multi"}])["imageDetails"]
    assert detail["imageSizeInBytes"] == len(b"arm64")
    child = {"imageDigest": digest_of(bodies[0])}
    (failure,) = ecr.batch_delete_image(repositoryName="hello", imageIds=[child])["failures"]
    assert (failure["failureCode"], digest in failure["failureReason"]) == ("ImageReferencedByManifestList", True)
    assert client.ask("DELETE", f"hello/manifests/{child['imageDigest']}").error[0] == "DENIED"
    assert client.ask("DELETE", f"hello/manifests/{digest}").status == 202
    assert client.ask("DELETE", f"hello/manifests/{child['imageDigest']}").status == 202


def test_what_is_gone_from_the_disk_is_pushed_again(world: World, client: RegistryClient) -> None:
    manifest = client.image("hello", b"layer")
    digest = client.put("hello", "1", manifest).headers["docker-content-digest"]
    blobs = world.home / "images" / "blobs" / "sha256"
    for gone in (digest, digest_of(b"layer")):
        (blobs / gone.removeprefix("sha256:")).unlink()
    missing = client.ask("GET", "hello/manifests/1")
    assert (missing.status, "push the image again" in missing.error[1]) == (500, True)
    assert client.ask("HEAD", f"hello/blobs/{digest_of(b'layer')}").status == 404
    assert client.put("hello", "1", client.image("hello", b"layer")).status == 201
    assert client.ask("GET", "hello/manifests/1").document == manifest


def test_a_full_disk_is_told_as_such_and_keeps_what_has_come(
    world: World, client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = client.ask("POST", "hello/blobs/uploads/").headers["location"]
    client.ask("PATCH", at, b"half")

    def full(self: Any, upload: str, chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Blobs, "append", full)
        refused = client.ask("PATCH", at, b" and half")
    assert (refused.status, "free some room" in refused.error[1]) == (503, True)
    client.ask("PATCH", at, b" and half")
    assert client.ask("PUT", f"{at}?digest={digest_of(b'half and half')}").status == 201


# Content discovery


def test_tags_and_repositories_are_listed_in_pages(client: RegistryClient) -> None:
    for tag in ("c", "a", "b"):
        client.push("hello", tag)
    assert client.ask("GET", "hello/tags/list").document == {"name": "hello", "tags": ["a", "b", "c"]}
    first = client.ask("GET", "hello/tags/list?n=2")
    assert first.document["tags"] == ["a", "b"]
    assert first.headers["link"] == '</v2/hello/tags/list?n=2&last=b>; rel="next"'
    rest = client.ask("GET", first.headers["link"].partition("<")[2].partition(">")[0])
    assert (rest.document["tags"], "link" in rest.headers) == (["c"], False)
    assert client.ask("GET", "hello/tags/list?n=0").document["tags"] == []
    assert client.ask("GET", "hello/tags/list?n=x").error[0] == "PAGINATION_NUMBER_INVALID"
    assert client.ask("GET", "_catalog?n=1").document == {"repositories": ["hello"]}
    assert client.ask("GET", "_catalog").document == {"repositories": ["hello", "team/other"]}


def test_what_is_about_an_image_is_found_by_it_and_goes_with_it(world: World, client: RegistryClient) -> None:
    manifest = client.image("hello", b"layer")
    client.put("hello", "1", manifest)
    subject = described(IMAGE, json.dumps(manifest).encode())
    about = client.image("hello", b"signature", subject=subject, artifactType="x/signature", annotations={"by": "me"})
    pushed = client.put("hello", digest_of(json.dumps(about).encode()), about)
    assert pushed.headers["oci-subject"] == subject["digest"]
    found = client.ask("GET", f"hello/referrers/{subject['digest']}")
    assert found.headers["content-type"] == INDEX
    described_about = described(IMAGE, json.dumps(about).encode())
    assert found.document["manifests"] == [
        {**described_about, "artifactType": "x/signature", "annotations": {"by": "me"}}
    ]
    other = client.ask("GET", f"hello/referrers/{subject['digest']}?artifactType=y")
    assert (other.document["manifests"], other.headers["oci-filters-applied"]) == ([], "artifactType")
    assert client.ask("GET", f"hello/referrers/{digest_of(b'no')}").document["manifests"] == []
    client.ask("DELETE", f"hello/manifests/{subject['digest']}")
    assert world.boto("ecr").list_images(repositoryName="hello")["imageIds"] == []


# Content management


def test_tags_images_and_layers_are_deleted(client: RegistryClient) -> None:
    digest = client.push("hello", "1", b"layer")
    client.push("hello", "2", b"layer")
    assert client.ask("DELETE", "hello/manifests/1").status == 202
    assert client.ask("HEAD", "hello/manifests/1").status == 404
    assert client.ask("HEAD", f"hello/manifests/{digest}").status == 200
    layer = f"hello/blobs/{digest_of(b'layer')}"
    assert client.ask("DELETE", layer).error[0] == "DENIED"
    assert client.ask("DELETE", f"hello/manifests/{digest}").status == 202
    assert client.ask("DELETE", f"hello/manifests/{digest}").status == 404
    assert client.ask("DELETE", layer).status == 202
    assert client.ask("HEAD", layer).status == 404


def test_what_is_no_request_of_the_specification_is_refused(client: RegistryClient) -> None:
    assert client.ask("POST", "hello/manifests/1").error[0] == "UNSUPPORTED"
    assert client.ask("GET", "hello/blobs/uploads/").error[0] == "UNSUPPORTED"
    assert client.ask("GET", "Hello/manifests/1").status == 404
    at = client.ask("POST", "hello/blobs/uploads/").headers["location"]
    assert client.ask("POST", at).error[0] == "UNSUPPORTED"


def test_the_registry_is_also_known_by_awss_own_names(world: World, client: RegistryClient) -> None:
    west = world.boto("ecr", "eu-west-1")
    west.create_repository(repositoryName="far")
    client.push("eu-west-1/far", "1")
    host = "000000000000.dkr.ecr.eu-west-1.amazonaws.com"
    assert client.ask("GET", "far/tags/list", Host=host).document["tags"] == ["1"]
    other = client.ask("GET", "far/tags/list", Host="123456789012.dkr.ecr.eu-west-1.amazonaws.com")
    assert other.error[1].endswith("does not exist in the registry with id '123456789012'")
