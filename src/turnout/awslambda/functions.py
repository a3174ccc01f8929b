"""Functions: moto keeps their records; their code is ours, because it runs."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Aws, Call, Others
from turnout.awslambda.code import Code
from turnout.awslambda.words import Function, function_of, named
from turnout.errors import AwsError


class Functions:
    """The operations that bring code. Every other operation on functions is moto's."""

    _others: Others
    _aws: Aws
    _code: Code

    async def create_function(self, call: Call) -> Answer:
        await self._keep_code(call.region, call["Code"])
        return self._others.call("lambda", "CreateFunction", call.region, call.input)

    async def update_function_code(self, call: Call) -> Answer:
        await self._keep_code(call.region, call.input)
        return self._others.call("lambda", "UpdateFunctionCode", call.region, call.input)

    def _function(self, region: str, function_name: str, qualifier: str | None) -> Function:
        """Raises ResourceNotFoundException, InvalidRuntimeException."""
        name, qualifier = named(function_name, qualifier)
        params = {"FunctionName": name} | ({"Qualifier": qualifier} if qualifier else {})
        return function_of(self._others.call("lambda", "GetFunctionConfiguration", region, params), region)

    async def _keep_code(self, region: str, given: dict[str, Any]) -> None:
        if given.get("ZipFile") is not None:
            self._code.keep(given["ZipFile"])
        elif given.get("S3Bucket") and given.get("S3Key"):
            version = {"VersionId": given["S3ObjectVersion"]} if given.get("S3ObjectVersion") else {}
            try:
                found = await self._aws.call(
                    "s3", "GetObject", region, Bucket=given["S3Bucket"], Key=given["S3Key"], **version
                )
            except AwsError as error:
                raise AwsError(
                    "InvalidParameterValueException",
                    f"Error occurred while GetObject. S3 Error Code: {error.code}. S3 Error Message: {error.message}",
                ) from error
            self._code.keep(found["Body"])
