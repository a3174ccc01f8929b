"""The code of functions, unpacked: one folder per zip, named by its hash, and never changed.

moto keeps the zip with the function's record; what runs is this. It is there before the record is.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
from pathlib import Path

from turnout.errors import AwsError
from turnout.names import new_hex
from turnout.runtimes.archives import BadArchive, unpack


class Code:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, zipped: bytes) -> None:
        """Raises InvalidParameterValueException for what is no zip."""
        place = self._folder / hashlib.sha256(zipped).hexdigest()
        if place.exists():
            return
        draft = self._folder / f".{new_hex(16)}"
        draft.mkdir(parents=True)
        try:
            unpack(zipped, draft)
            draft.replace(place)
        except BadArchive as error:
            raise AwsError(
                "InvalidParameterValueException",
                f"Could not unzip uploaded file. Please check your file, then try to upload again. ({error})",
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

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
