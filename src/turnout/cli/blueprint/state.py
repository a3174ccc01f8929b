"""Where Terraform's state lies: a bucket of S3, versioned and encrypted, one for each account and region."""

from __future__ import annotations

from turnout.cli.clients import Clients, is_missing


class State:
    """The bucket, and the object of one application in it."""

    def __init__(self, clients: Clients, name: str) -> None:
        account = clients("sts").get_caller_identity()["Account"]
        self.bucket = f"turnout-state-{account}-{clients.region}"
        self.key = f"{name}.tfstate"
        self._clients = clients
        self._s3 = clients("s3")

    def exists(self) -> bool:
        try:
            self._s3.head_bucket(Bucket=self.bucket)
        except Exception as error:
            if not is_missing(error, "404", "NoSuchBucket"):
                raise
            return False
        return True

    def ensure(self) -> bool:
        """Make the bucket if it is missing: whether it was made now."""
        is_made = not self.exists()
        if is_made:
            region = self._clients.region
            where = (
                {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            )  # the one region that must not be named
            self._s3.create_bucket(Bucket=self.bucket, **where)
        self._s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
        self._s3.put_bucket_encryption(Bucket=self.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        self._s3.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))
        return is_made

    def forget(self) -> bool:
        """Delete the state of what has been destroyed, and the bucket if nothing else is in it: whether it was."""
        versions = self._s3.get_paginator("list_object_versions")
        others = False
        for page in versions.paginate(Bucket=self.bucket):
            for each in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                if each["Key"] in (self.key, f"{self.key}.tflock"):
                    self._s3.delete_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])
                else:
                    others = True
        if not others:
            self._s3.delete_bucket(Bucket=self.bucket)
        return not others

    def backend(self, endpoint: str | None) -> dict[str, str]:
        """The arguments of `terraform init` for Terraform's own backend. `endpoint`: an engine's."""
        said = {"bucket": self.bucket, "key": self.key, "region": self._clients.region}
        said |= {"encrypt": "true", "use_lockfile": "true"}
        if endpoint is not None:
            said["endpoints"] = f'{{s3="{endpoint}",sts="{endpoint}",iam="{endpoint}"}}'
            for name in ("use_path_style", "skip_credentials_validation", "skip_metadata_api_check"):
                said[name] = "true"
            said["skip_requesting_account_id"] = said["skip_region_validation"] = "true"
        return said
