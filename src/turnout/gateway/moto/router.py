"""From a request to the moto function that answers it: by moto's own tables of hosts and paths."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from botocore.exceptions import ClientError
from moto.backend_index import backend_url_patterns
from moto.backends import ALT_SERVICE_NAMES, list_of_moto_modules
from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, environ_key_for_header
from moto.core.request import Request as MotoRequest
from moto.core.utils import convert_regex_to_flask_path
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, MapAdapter, Rule
from werkzeug.wrappers import Response

from turnout.gateway.moto.request import Reply, Request
from turnout.gateway.moto.tuning import import_tuned

_SIGNED_AS = {"eventbridge": "events", "iotdata": "data.iot"}
"""Signing names that are not the name in the host."""
_UNSIGNED = {"AssumeRoleWithSAML": "sts", "AssumeRoleWithWebIdentity": "sts"}
"""Operations that nobody signs."""
_METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"]

Handler = Callable[[MotoRequest, str, dict[str, str]], Any]


class _Arrived(MotoRequest):  # type: ignore[misc]  # moto is not followed by mypy
    """A request that came through a server, which adds the Date header itself."""

    from_wsgi_server = True


class _Regex(BaseConverter):
    """moto's paths are regular expressions."""

    part_isolating = False

    def __init__(self, url_map: Map, *items: Any) -> None:
        super().__init__(url_map)
        self.regex = items[0]


class Router:
    """A service's backend is imported when it is first asked for."""

    def __init__(self) -> None:
        self._modules = frozenset(list_of_moto_modules())
        self._backends: dict[str, str | None] = {}
        self._routes: dict[str, MapAdapter] = {}

    def answer(self, request: Request) -> Reply:
        """What moto answers. Raises NotImplementedError for what it does not implement; anything else is its bug."""
        arrived = _Arrived(_environ(request))
        handler = self._handler(request, arrived)
        try:
            answer = handler(arrived, arrived.raw_url, dict(arrived.headers))
        except ImportError as error:
            raise NotImplementedError(f"moto needs {error.name} for {request.title}") from error
        except ClientError as error:
            answer = 400, {}, error.response["Error"]["Message"]
        except HTTPException as error:
            answer = error.code, dict(error.get_headers()), error.get_body()
        status, headers, content = answer if isinstance(answer, tuple) and len(answer) == 3 else (200, {}, answer)
        response = Response(content, status, headers)
        body = response.get_data()
        if request.method == "HEAD" and "content-length" in headers:
            response.headers["Content-Length"] = headers["content-length"]
        return response.status_code, response.headers.to_wsgi_list(), body

    def _handler(self, request: Request, arrived: MotoRequest) -> Handler:
        backend = self._backend(request)
        if backend is None:
            raise NotImplementedError(f"no service {request.service}")
        routes = self._routes.get(backend) or self._open(backend)
        try:
            handler: Handler = routes.match(arrived.path, request.method)[0]
        except HTTPException as error:
            raise NotImplementedError(f"no operation {request.title}") from error
        return handler

    def _open(self, backend: str) -> MapAdapter:
        try:
            urls = import_tuned(f"moto.{backend}.urls")
        except ImportError as error:  # a backend that needs a package which we do without
            raise NotImplementedError(str(error)) from error
        rules = [
            Rule(path, endpoint=handler, methods=_METHODS, strict_slashes=False)
            for pattern, handler in urls.url_paths.items()
            if (path := convert_regex_to_flask_path(pattern.format("")))
        ]
        self._routes[backend] = Map(rules, converters={"regex": _Regex}, merge_slashes=False).bind("moto")
        return self._routes[backend]

    def _backend(self, request: Request) -> str | None:
        """The name of the moto package that answers a request."""
        service = _service(request)
        if service == "dynamodb" and request.by_name.get("x-amz-target", "").startswith("DynamoDBStreams"):
            return "dynamodbstreams"
        if service == "s3" and request.path.startswith("/v20180820/"):
            return "s3control"
        if service == "ses" and request.path.startswith("/v2/"):
            return "sesv2"
        if service not in self._backends:
            self._backends[service] = self._find_backend(service)
        return self._backends[service]

    def _find_backend(self, service: str) -> str | None:
        url = f"http://{service}.us-east-1.amazonaws.com"
        found = next((backend for backend, pattern in backend_url_patterns if pattern.match(url)), None)
        if found is None:
            name = service.replace("-", "")
            name = ALT_SERVICE_NAMES.get(name, name)
            found = name if name in self._modules else None
        return found


def _service(request: Request) -> str:
    """The service by its signature, its host or its operation; what nobody signed and nothing names is S3's."""
    if request.service is not None:
        name = request.service.lower()
        return _SIGNED_AS.get(name, name)
    if unsigned := _UNSIGNED.get(request.operation or ""):
        return unsigned
    host = re.match(r"([a-z0-9-]+)\.(?:[a-z0-9-]+\.)?(?:localhost|amazonaws)\b", request.by_name.get("host", ""))
    return host[1] if host and not host[1].startswith("s3") and request.operation else "s3"


def _environ(request: Request) -> dict[str, Any]:
    headers: dict[str, str] = {}
    originals: dict[str, str] = {}
    for name, value in request.headers:
        key = environ_key_for_header(name)
        headers[key] = f"{headers[key]},{value}" if key in headers else value
        if "_" in name and name.lower().startswith("x-amz-meta-"):
            originals[key] = name
    headers.pop("HTTP_TRANSFER_ENCODING", None)
    host, _, port = headers.get("HTTP_HOST", "localhost").partition(":")
    return headers | {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "QUERY_STRING": request.query,
        "RAW_URI": request.path_and_query,
        "CONTENT_LENGTH": str(len(request.body)),
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        PRESERVED_HEADER_NAMES_ENVIRON_KEY: originals,
    }
