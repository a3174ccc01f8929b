"""ECR through boto3: repositories, images, layers, policies, in AWS's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.conftest import World
from tests.rooms.registering import RegistryClient, digest_of

ACCOUNT = "000000000000"


@pytest.fixture
def ecr(world: World) -> Any:
    return world.boto("ecr")


@pytest.fixture
def hello(ecr: Any) -> dict[str, Any]:
    return dict(ecr.create_repository(repositoryName="hello")["repository"])


def refused(call: Any, **params: Any) -> tuple[str, str]:
    """(code, message) of an error."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_repository_is_described_with_the_address_that_docker_pushes_to(ecr: Any, hello: Any) -> None:
    assert hello["repositoryUri"] == "127.0.0.1:4566/hello"
    assert hello["repositoryArn"] == f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/hello"
    assert hello["imageTagMutability"] == "MUTABLE"
    assert hello["encryptionConfiguration"] == {"encryptionType": "AES256"}
    (found,) = ecr.describe_repositories(repositoryNames=["hello"])["repositories"]
    assert found == hello


def test_regions_have_registries_of_their_own(world: World, ecr: Any, hello: Any) -> None:
    west = world.boto("ecr", "eu-west-1")
    assert west.describe_repositories()["repositories"] == []
    made = west.create_repository(repositoryName="hello")["repository"]
    assert made["repositoryUri"] == "127.0.0.1:4566/eu-west-1/hello"
    client = RegistryClient(world)
    digest = client.push("eu-west-1/hello", "1")
    assert west.list_images(repositoryName="hello")["imageIds"] == [{"imageDigest": digest, "imageTag": "1"}]
    assert ecr.list_images(repositoryName="hello")["imageIds"] == []
    code, message = refused(ecr.create_repository, repositoryName="eu-west-1/hello")
    assert (code, "begin with a region" in message) == ("InvalidParameterException", True)


def test_what_is_not_there_is_named_in_awss_words(ecr: Any, hello: Any) -> None:
    missing = f"The repository with name 'no/where' does not exist in the registry with id '{ACCOUNT}'"
    assert refused(ecr.describe_images, repositoryName="no/where") == ("RepositoryNotFoundException", missing)
    assert refused(ecr.describe_images, repositoryName="hello", registryId="123456789012") == (
        "RepositoryNotFoundException",
        "The repository with name 'hello' does not exist in the registry with id '123456789012'",
    )
    assert refused(ecr.create_repository, repositoryName="hello") == (
        "RepositoryAlreadyExistsException",
        f"The repository with name 'hello' already exists in the registry with id '{ACCOUNT}'",
    )
    assert refused(ecr.describe_images, repositoryName="hello", imageIds=[{"imageTag": "9"}]) == (
        "ImageNotFoundException",
        "The image with imageId {imageDigest:'null', imageTag:'9'} does not exist within the repository with name"
        f" 'hello' in the registry with id '{ACCOUNT}'",
    )
    assert refused(ecr.get_repository_policy, repositoryName="hello")[0] == "RepositoryPolicyNotFoundException"
    assert refused(ecr.get_lifecycle_policy, repositoryName="hello")[0] == "LifecyclePolicyNotFoundException"
    assert refused(ecr.create_repository, repositoryName="Hello")[0] == "InvalidParameterException"
    assert refused(ecr.describe_pull_through_cache_rules)[0] == "NotImplementedException"


def test_repositories_come_in_pages(ecr: Any) -> None:
    for number in range(5):
        ecr.create_repository(repositoryName=f"r{number}")
    pages = list(ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2}))
    assert [[each["repositoryName"] for each in page["repositories"]] for page in pages] == [
        ["r0", "r1"],
        ["r2", "r3"],
        ["r4"],
    ]


def test_a_repository_with_images_is_deleted_only_by_force(world: World, ecr: Any, hello: Any) -> None:
    RegistryClient(world).push("hello", "1")
    code, message = refused(ecr.delete_repository, repositoryName="hello")
    assert code == "RepositoryNotEmptyException"
    assert message.endswith("cannot be deleted because it still contains images")
    ecr.delete_repository(repositoryName="hello", force=True)
    assert ecr.describe_repositories()["repositories"] == []
    ecr.create_repository(repositoryName="hello")
    assert ecr.list_images(repositoryName="hello")["imageIds"] == []


def test_tags_of_a_repository_come_and_go(ecr: Any, hello: Any) -> None:
    arn = hello["repositoryArn"]
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "b"}])
    ecr.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "cost", "Value": "b"}]


def test_an_image_goes_in_and_out_by_ecrs_own_api(ecr: Any, hello: Any) -> None:
    layer, config = b"layer" * 1000, b"{}"
    for body in (layer, config):
        upload = ecr.initiate_layer_upload(repositoryName="hello")["uploadId"]
        half = len(body) // 2
        for first, last in ((0, half), (half, len(body))):
            part = {"partFirstByte": first, "partLastByte": last - 1, "layerPartBlob": body[first:last]}
            ecr.upload_layer_part(repositoryName="hello", uploadId=upload, **part)
        done = ecr.complete_layer_upload(repositoryName="hello", uploadId=upload, layerDigests=[digest_of(body)])
        assert done["layerDigest"] == digest_of(body)
    found = ecr.batch_check_layer_availability(
        repositoryName="hello", layerDigests=[digest_of(layer), digest_of(b"other"), "sha256:no"]
    )
    assert [each["layerAvailability"] for each in found["layers"]] == ["AVAILABLE", "UNAVAILABLE"]
    assert [each["failureCode"] for each in found["failures"]] == ["InvalidLayerDigest"]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "c", "digest": digest_of(config), "size": 2},
            "layers": [{"mediaType": "l", "digest": digest_of(layer), "size": len(layer)}],
        }
    )
    put = ecr.put_image(repositoryName="hello", imageManifest=manifest, imageTag="1")["image"]
    assert put["imageId"] == {"imageDigest": digest_of(manifest.encode()), "imageTag": "1"}
    code, message = refused(ecr.put_image, repositoryName="hello", imageManifest=manifest, imageTag="1")
    assert (code, message.split(" already")[0]) == (
        "ImageAlreadyExistsException",
        f"Image with digest '{put['imageId']['imageDigest']}' and tag '1'",
    )
    ids = [{"imageTag": "1"}, {"imageTag": "2"}, {"imageDigest": put["imageId"]["imageDigest"], "imageTag": "2"}]
    got = ecr.batch_get_image(repositoryName="hello", imageIds=ids)
    assert [image["imageManifest"] for image in got["images"]] == [manifest]
    assert [each["failureCode"] for each in got["failures"]] == ["ImageNotFound", "ImageNotFound"]
    (detail,) = ecr.describe_images(repositoryName="hello")["imageDetails"]
    assert (detail["imageTags"], detail["imageSizeInBytes"]) == (["1"], len(layer))
    assert detail["lastRecordedPullTime"]


def test_a_part_that_does_not_fit_names_the_byte_that_is_next(ecr: Any, hello: Any) -> None:
    upload = {"repositoryName": "hello", "uploadId": ecr.initiate_layer_upload(repositoryName="hello")["uploadId"]}
    assert refused(ecr.complete_layer_upload, **upload, layerDigests=["sha256:0"])[0] == "EmptyUploadException"
    ecr.upload_layer_part(**upload, partFirstByte=0, partLastByte=2, layerPartBlob=b"abc")
    with pytest.raises(ClientError) as caught:
        ecr.upload_layer_part(**upload, partFirstByte=4, partLastByte=4, layerPartBlob=b"e")
    assert caught.value.response["Error"]["Code"] == "InvalidLayerPartException"
    assert caught.value.response["lastValidByteReceived"] == 2
    code, message = refused(ecr.complete_layer_upload, **upload, layerDigests=[digest_of(b"abcd")])
    assert (code, digest_of(b"abc") in message) == ("InvalidLayerException", True)
    code, _ = refused(ecr.complete_layer_upload, **upload, layerDigests=[digest_of(b"abc")])
    assert code == "UploadNotFoundException"


def test_an_image_whose_layers_were_never_pushed_is_refused(ecr: Any, hello: Any) -> None:
    part = {"mediaType": "x", "digest": f"sha256:{'1' * 64}", "size": 1}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": part}
    code, message = refused(
        ecr.put_image, repositoryName="hello", imageManifest=json.dumps({**manifest, "layers": [part]}), imageTag="1"
    )
    assert (code, part["digest"] in message) == ("LayersNotFoundException", True)
    for wrong in ("{", "[]", json.dumps({"schemaVersion": 1}), json.dumps({**manifest, "layers": 3})):
        code, _ = refused(ecr.put_image, repositoryName="hello", imageManifest=wrong)
        assert code == "InvalidParameterException"


def test_the_last_tag_takes_the_image_along_and_the_digest_all_tags(world: World, ecr: Any, hello: Any) -> None:
    client = RegistryClient(world)
    digest = client.push("hello", "1")
    client.push("hello", "2")
    other = client.push("hello", "3", b"three")
    gone = ecr.batch_delete_image(repositoryName="hello", imageIds=[{"imageTag": "1"}])
    assert gone["imageIds"] == [{"imageDigest": digest, "imageTag": "1"}]
    assert {each["imageDigest"] for each in ecr.describe_images(repositoryName="hello")["imageDetails"]} == {
        digest,
        other,
    }
    ecr.batch_delete_image(repositoryName="hello", imageIds=[{"imageTag": "2"}])
    assert [each["imageDigest"] for each in ecr.list_images(repositoryName="hello")["imageIds"]] == [other]
    client.push("hello", "4", b"three")
    gone = ecr.batch_delete_image(repositoryName="hello", imageIds=[{"imageDigest": other}, {"imageTag": "1"}, {}])
    assert [each["imageTag"] for each in gone["imageIds"]] == ["3", "4"]
    assert [each["failureCode"] for each in gone["failures"]] == ["ImageNotFound", "MissingDigestAndTag"]


def test_a_tag_that_moves_leaves_its_image_untagged(world: World, ecr: Any, hello: Any) -> None:
    client = RegistryClient(world)
    first, second = client.push("hello", "latest"), client.push("hello", "latest", b"two")
    listed = {
        status: [each["imageDigest"] for each in ecr.list_images(repositoryName="hello", filter=wanted)["imageIds"]]
        for status in ("TAGGED", "UNTAGGED")
        for wanted in [{"tagStatus": status}]
    }
    assert listed == {"TAGGED": [second], "UNTAGGED": [first]}


def test_immutable_tags_stay_except_those_that_are_excluded(world: World, ecr: Any, hello: Any) -> None:
    client = RegistryClient(world)
    client.push("hello", "1")
    client.push("hello", "dev-1")
    ecr.put_image_tag_mutability(repositoryName="hello", imageTagMutability="IMMUTABLE")
    words = "The image tag '1' already exists in the 'hello' repository and cannot be overwritten because the tag is"
    manifest = client.image("hello", b"two")
    pushed = client.put("hello", "1", manifest)
    assert (pushed.status, pushed.error) == (400, ("TAG_INVALID", f"{words} immutable."))
    code, message = refused(ecr.put_image, repositoryName="hello", imageManifest=json.dumps(manifest), imageTag="1")
    assert (code, message) == ("ImageTagAlreadyExistsException", f"{words} immutable.")
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    ecr.put_image_tag_mutability(
        repositoryName="hello",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    assert client.put("hello", "dev-1", manifest).status == 201
    assert client.put("hello", "1", manifest).status == 400
    assert client.put("hello", "2", manifest).status == 201
    code, _ = refused(
        ecr.put_image_tag_mutability, repositoryName="hello", imageTagMutability="IMMUTABLE_WITH_EXCLUSION"
    )
    assert code == "InvalidParameterException"


def test_policies_are_kept_as_they_were_given(ecr: Any, hello: Any) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "ecr:GetDownloadUrlForLayer"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=1)
    ecr.set_repository_policy(repositoryName="hello", policyText=text)
    assert ecr.get_repository_policy(repositoryName="hello")["policyText"] == text
    ecr.put_registry_policy(policyText=text)
    assert ecr.get_registry_policy()["policyText"] == text
    ecr.delete_registry_policy()
    assert refused(ecr.get_registry_policy)[0] == "RegistryPolicyNotFoundException"
    ecr.delete_repository_policy(repositoryName="hello")
    assert refused(ecr.delete_repository_policy, repositoryName="hello")[0] == "RepositoryPolicyNotFoundException"
    assert refused(ecr.set_repository_policy, repositoryName="hello", policyText="{}") == (
        "InvalidParameterException",
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'",
    )


def test_nobody_is_told_that_an_image_was_scanned(world: World, ecr: Any, hello: Any) -> None:
    RegistryClient(world).push("hello", "1")
    image = {"repositoryName": "hello", "imageId": {"imageTag": "1"}}
    assert refused(ecr.describe_image_scan_findings, **image)[0] == "ScanNotFoundException"
    (detail,) = ecr.describe_images(repositoryName="hello")["imageDetails"]
    assert "imageScanStatus" not in detail
    ecr.put_image_scanning_configuration(repositoryName="hello", imageScanningConfiguration={"scanOnPush": True})
    (detail,) = ecr.describe_images(repositoryName="hello")["imageDetails"]
    assert detail["imageScanStatus"]["status"] == "FAILED"
    found = ecr.describe_image_scan_findings(**image)
    assert "turnout does not scan images" in found["imageScanStatus"]["description"]
    assert "imageScanFindings" not in found
    with pytest.raises(WaiterError):
        ecr.get_waiter("image_scan_complete").wait(**image)
    assert refused(ecr.start_image_scan, **image)[0] == "NotImplementedException"


def test_a_layer_can_be_fetched_by_the_url_that_ecr_gives_out(world: World, ecr: Any, hello: Any) -> None:
    client = RegistryClient(world)
    client.push("hello", "1", b"the layer")
    url = ecr.get_download_url_for_layer(repositoryName="hello", layerDigest=digest_of(b"the layer"))["downloadUrl"]
    assert world.run(world.request("GET", url, {}, b""))[2] == b"the layer"
    assert world.run(world.request("GET", f"{url}0", {}, b""))[0] == 401
    world.clock.advance(3601)
    assert world.run(world.request("GET", url, {}, b""))[0] == 403


def test_everything_survives_a_kill(world: World, ecr: Any, hello: Any) -> None:
    digest = RegistryClient(world).push("hello", "1")
    before = ecr.describe_images(repositoryName="hello")["imageDetails"]
    world.reboot()
    assert ecr.describe_images(repositoryName="hello")["imageDetails"] == before
    assert RegistryClient(world).ask("GET", f"hello/manifests/{digest}").status == 200
