"""The code of functions, unpacked: one folder per zip, named by its hash, and never changed.

moto keeps the zip with the function's record; what runs is this. It is there before the record is.
"""

from __future__ import annotations

import base64
from pathlib import Path

from turnout.errors import AwsError
from turnout.runtimes.archives import BadArchive, keep_unpacked


class Code:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, zipped: bytes) -> None:
        """Raises InvalidParameterValueException for what is no zip."""
        try:
            keep_unpacked(zipped, self._folder)
        except BadArchive as error:
            raise AwsError(
                "InvalidParameterValueException",
                f"Could not unzip uploaded file. Please check your file, then try to upload again. ({error})",
            ) from error

    def folder(self, name: str, code_sha256: str) -> Path:
        """Where the code with AWS's CodeSha256 lies. Raises ResourceNotFoundException if it was never kept here."""
        place = self._folder / base64.b64decode(code_sha256).hex()
        if not place.exists():
            raise AwsError(
                "ResourceNotFoundException",
                f"The code of {name} is not in this home: upload it again with UpdateFunctionCode.",
                404,
            )
        return place
