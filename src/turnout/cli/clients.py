"""boto3 clients of a running engine, made as any user would make them."""

from __future__ import annotations

from typing import Any

from turnout.cli.running import Running, credentials


class Clients:
    """One client for each service, made when it is first asked for: `clients("ecs").describe_services(…)`."""

    def __init__(self, running: Running, region: str | None = None) -> None:
        import boto3

        self.running = running
        self.region = region or running.region
        key_id, secret = credentials(running.endpoint)
        self._session = boto3.session.Session(
            aws_access_key_id=key_id, aws_secret_access_key=secret, region_name=self.region
        )
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        if service not in self._clients:
            from botocore.config import Config

            # No proxy and no second try: the engine is on this machine, and a create that was repeated behind our
            # back would hide what happened.
            config = Config(
                proxies={}, retries={"total_max_attempts": 1}, read_timeout=60, user_agent_extra="turnout-cli"
            )
            self._clients[service] = self._session.client(service, endpoint_url=self.running.endpoint, config=config)
        return self._clients[service]


def pages(client: Any, operation: str, member: str, **params: Any) -> list[Any]:
    """All of a paginated list: pages(ecs, "list_services", "serviceArns", cluster="web")."""
    return [item for page in client.get_paginator(operation).paginate(**params) for item in page.get(member, [])]


def is_missing(error: Exception, *codes: str) -> bool:
    """Whether AWS answered with one of these error codes."""
    from botocore.exceptions import ClientError

    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in codes
