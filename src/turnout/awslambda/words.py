"""What a function is told of itself, and what is written of it: names, environment and log lines. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnout.errors import AwsError

_ARN = re.compile(r"(?:arn:[^:]+:lambda:(?P<region>[^:]*):)?(?:(?P<account>\d{12}):)?(?:function:)?(?P<rest>.+)")


@dataclass(frozen=True)
class Function:
    """One version of a function, as moto keeps it."""

    name: str
    arn: str
    region: str
    version: str
    runtime: str
    handler: str
    timeout_s: float
    memory_mib: int
    code_sha256: str
    """As AWS gives it: base64."""
    variables: dict[str, str]


def named(function_name: str, qualifier: str | None) -> tuple[str, str | None]:
    """(name, qualifier) of what FunctionName may be: a name, a partial ARN or an ARN, each with a qualifier or not."""
    found = _ARN.fullmatch(function_name)
    name, _, own = (found["rest"] if found else function_name).partition(":")
    if own and qualifier and own != qualifier:
        raise AwsError(
            "InvalidParameterValueException",
            f"The derived qualifier from the function name does not match the specified qualifier {qualifier}.",
        )
    return name, own or qualifier


def function_of(configuration: Mapping[str, Any], region: str) -> Function:
    """Raises AwsError for what turnout cannot run."""
    name = configuration["FunctionName"]
    if configuration.get("PackageType", "Zip") != "Zip":
        raise _cannot_run(f"{name} is a container image; turnout runs functions that were uploaded as a zip")
    if configuration.get("Layers"):
        raise _cannot_run(f"{name} has layers, which turnout does not unpack: put what they hold into the zip")
    runtime = str(configuration.get("Runtime", ""))
    if not runtime.startswith(("python3", "nodejs")):
        raise _cannot_run(f"{name} has the runtime {runtime or '(none)'}; turnout runs python3.x and nodejs")
    return Function(
        name=name,
        arn=configuration["FunctionArn"],
        region=region,
        version=configuration.get("Version", "$LATEST"),
        runtime=runtime,
        handler=configuration["Handler"],
        timeout_s=float(configuration.get("Timeout", 3)),
        memory_mib=int(configuration.get("MemorySize", 128)),
        code_sha256=configuration["CodeSha256"],
        variables=dict((configuration.get("Environment") or {}).get("Variables") or {}),
    )


def _cannot_run(why: str) -> AwsError:
    return AwsError("InvalidRuntimeException", f"{why}.", 502)


def log_group_of(function: Function) -> str:
    return f"/aws/lambda/{function.name}"


def log_stream_of(function: Function, request_id: str, at: float) -> str:
    """An environment has a stream; ours live for one invocation."""
    return f"{time.strftime('%Y/%m/%d', time.gmtime(at))}/[{function.version}]{request_id.replace('-', '')}"


def environment_for(
    function: Function, *, task_root: str, log_stream: str, endpoint: str, credentials: tuple[str, str], scratch: str
) -> dict[str, str]:
    """What the function sees: nothing of the engine's own environment but PATH."""
    own = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "HOME": scratch,
        "TMPDIR": scratch,
        "AWS_ENDPOINT_URL": endpoint,
    }
    reserved = {
        "_HANDLER": function.handler,
        "AWS_REGION": function.region,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_ACCESS_KEY_ID": credentials[0],
        "AWS_SECRET_ACCESS_KEY": credentials[1],
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mib),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group_of(function),
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "LAMBDA_TASK_ROOT": task_root,
        "LAMBDA_RUNTIME_DIR": task_root,
    }
    return own | function.variables | reserved


def lines_of(
    function: Function, request_id: str, result: Mapping[str, Any], written: list[tuple[int, str]], begun_ms: int
) -> list[tuple[int, str]]:
    """The log of an invocation in Lambda's format: (unix ms, text)."""
    last_ms = int(1000 * result["ended_at"])
    duration_ms, init_ms = float(result["duration_ms"]), float(result["init_ms"])
    version = f"python:{platform.python_version()}" if function.runtime.startswith("python") else function.runtime
    report = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {duration_ms:.2f} ms",
        f"Billed Duration: {max(1, -(-duration_ms // 1)):.0f} ms",
        f"Memory Size: {function.memory_mib} MB",
        f"Max Memory Used: {result['memory_mib']:.0f} MB",
        f"Init Duration: {init_ms:.2f} ms",
    ]
    timed_out = []
    if result["error_type"] == "Sandbox.Timedout":
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(result["ended_at"]))
        timed_out = [(last_ms, f"{at}.000Z {request_id} Task timed out after {function.timeout_s:.2f} seconds")]
    return [
        (begun_ms, f"INIT_START Runtime Version: {version}"),
        (begun_ms, f"START RequestId: {request_id} Version: {function.version}"),
        *((at, text) for at, text in written if text.strip()),
        *timed_out,
        (last_ms, f"END RequestId: {request_id}"),
        (last_ms, "\t".join(report)),
    ]
