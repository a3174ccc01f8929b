"""Operations on layers: what a client that speaks ECR's own API pushes and pulls with."""

from __future__ import annotations

from turnout.aws import Answer, Call
from turnout.ecr.blobs import WrongDigest
from turnout.ecr.manifests import DIGEST
from turnout.ecr.operations import Operations
from turnout.ecr.records import Repository
from turnout.ecr.uploads import NoUpload
from turnout.errors import AwsError
from turnout.names import ACCOUNT

PART_BYTES = 10 << 20
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
URL_GOOD_FOR_S = 3600.0


class Layers(Operations):
    def batch_check_layer_availability(self, call: Call) -> Answer:
        repository = self.of(call)
        layers, failures = [], []
        for digest in call["layerDigests"]:
            if not DIGEST.fullmatch(digest):
                reason = "Invalid layer digest: expected sha256: and 64 hex digits"
                failures.append({"layerDigest": digest, "failureCode": "InvalidLayerDigest", "failureReason": reason})
                continue
            size = self.uploads.has_layer(repository, digest)
            layer = {"layerDigest": digest, "layerAvailability": "UNAVAILABLE" if size is None else "AVAILABLE"}
            layers.append(layer if size is None else {**layer, "layerSize": size, "mediaType": LAYER_TYPE})
        return {"layers": layers, "failures": failures}

    def get_download_url_for_layer(self, call: Call) -> Answer:
        repository, digest = self.of(call), call["layerDigest"]
        if self.uploads.has_layer(repository, digest) is None:
            raise AwsError(
                "LayersNotFoundException",
                f"The layer with digest '{digest}' does not exist in the repository with name '{repository.name}'"
                f" in the registry with id '{ACCOUNT}'",
            )
        token, _ = self.tokens.mint(self.clock.now(), URL_GOOD_FOR_S)
        path = self.config.registry.path(repository.region, repository.name)
        url = f"{self.config.endpoint}/v2/{path}/blobs/{digest}?token={token}"
        return {"downloadUrl": url, "layerDigest": digest}

    def initiate_layer_upload(self, call: Call) -> Answer:
        return {"uploadId": self.uploads.begin(self.of(call)), "partSize": PART_BYTES}

    async def upload_layer_part(self, call: Call) -> Answer:
        repository, upload = self.of(call), call["uploadId"]
        received = self._received(repository, upload)
        first, last, part = call["partFirstByte"], call["partLastByte"], call["layerPartBlob"]
        if first != received or last - first + 1 != len(part):
            raise AwsError(
                "InvalidLayerPartException",
                f"The layer part of {len(part)} bytes is said to be {first} to {last}; the next byte is {received}",
                registryId=ACCOUNT,
                repositoryName=repository.name,
                uploadId=upload,
                lastValidByteReceived=received - 1,
            )
        await self.uploads.append(upload, part)
        return {
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "uploadId": upload,
            "lastByteReceived": last,
        }

    async def complete_layer_upload(self, call: Call) -> Answer:
        repository, upload = self.of(call), call["uploadId"]
        if self._received(repository, upload) == 0:
            raise AwsError("EmptyUploadException", f"The upload {upload} has no parts")
        (digest, *others) = call["layerDigests"]
        if others or not DIGEST.fullmatch(digest):
            raise AwsError("InvalidLayerException", "Expected one digest: sha256: and 64 hex digits")
        if self.uploads.has_layer(repository, digest) is not None:
            self.uploads.abandon(upload)
            raise AwsError(
                "LayerAlreadyExistsException",
                f"Layer with digest '{digest}' already exists in the repository with name '{repository.name}'"
                f" in registry with id '{ACCOUNT}'",
            )
        try:
            await self.uploads.finish(repository, upload, digest)
        except WrongDigest as error:
            raise AwsError(
                "InvalidLayerException", f"The layer's digest is {error.found}, not {digest} as was said"
            ) from error
        except NoUpload as error:
            raise _no_upload(repository, upload) from error
        return {
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "uploadId": upload,
            "layerDigest": digest,
        }

    def _received(self, repository: Repository, upload: str) -> int:
        try:
            return self.uploads.received(repository, upload)
        except NoUpload as error:
            raise _no_upload(repository, upload) from error


def _no_upload(repository: Repository, upload: str) -> AwsError:
    return AwsError(
        "UploadNotFoundException",
        f"The upload with ID '{upload}' does not exist in the repository with name '{repository.name}'"
        f" in the registry with id '{ACCOUNT}'",
    )
