"""boto3 clients of a running engine, or of AWS, made as any user would make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from turnout.cli.running import Running, ask, credentials, require_running
from turnout.errors import SetupError
from turnout.registry import Registry


class Clients:
    """One client for each service, made when it is first asked for: `clients("ecs").describe_services(…)`.

    Of a running engine; without one of AWS itself, as a profile of the user's configuration leads there.
    """

    def __init__(self, running: Running | None, region: str | None = None, profile: str | None = None) -> None:
        import boto3

        self._running = running
        if running is None:
            self._session = boto3.session.Session(profile_name=profile, region_name=region)
            self.region = self._session.region_name
            if self.region is None:
                raise SetupError(f"profile {profile} names no region: add --region.")
        else:
            self.region = region or running.region
            key_id, secret = credentials(running.endpoint)
            self._session = boto3.session.Session(
                aws_access_key_id=key_id, aws_secret_access_key=secret, region_name=self.region
            )
        self._clients: dict[str, Any] = {}

    @property
    def running(self) -> Running:
        """The engine; for what only an engine can do. Raises SetupError on AWS."""
        if self._running is None:
            raise SetupError("this needs an engine of turnout: leave --profile out.")
        return self._running

    @property
    def is_engine(self) -> bool:
        return self._running is not None

    @property
    def registry(self) -> Registry | None:
        """Where an engine's ECR is; None on AWS, where it has names of its own."""
        running = self._running
        return None if running is None else Registry(running.endpoint.removeprefix("http://"), running.region)

    def told(self, path: str) -> Any:
        """What only an engine knows ("receipts/us-east-1/d-…"); None if there is none, and on AWS."""
        return None if self._running is None else ask(self._running, path)

    def __call__(self, service: str) -> Any:
        if service not in self._clients:
            from botocore.config import Config

            # Of an engine no proxy and no second try: it is on this machine, and a create that was repeated behind our
            # back would hide what happened. AWS is spoken to as all of its clients do.
            here: dict[str, Any] = {"proxies": {}, "retries": {"total_max_attempts": 1}} if self.is_engine else {}
            config = Config(read_timeout=60, user_agent_extra="turnout-cli", **here)
            endpoint = self.running.endpoint if self.is_engine else None
            self._clients[service] = self._session.client(service, endpoint_url=endpoint, config=config)
        return self._clients[service]


def connect(home: Path, region: str | None, profile: str | None) -> Clients:
    """AWS's clients with a profile, else the engine's. Raises SetupError."""
    if profile is None:
        return Clients(require_running(home), region)
    from botocore.exceptions import ProfileNotFound

    try:
        return Clients(None, region, profile)
    except ProfileNotFound as error:
        raise SetupError(f"--profile: {error}. `aws configure list-profiles` lists those that there are.") from error


def pages(client: Any, operation: str, member: str, **params: Any) -> list[Any]:
    """All of a paginated list: pages(ecs, "list_services", "serviceArns", cluster="web")."""
    return [item for page in client.get_paginator(operation).paginate(**params) for item in page.get(member, [])]


def is_missing(error: Exception, *codes: str) -> bool:
    """Whether AWS answered with one of these error codes."""
    from botocore.exceptions import ClientError

    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in codes
