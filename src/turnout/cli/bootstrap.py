"""bootstrap: the whole stack for an application folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from turnout.cli.clients import Clients
from turnout.cli.files import Application, read_application, start_command
from turnout.cli.git import ensure_remote, is_repository
from turnout.cli.names import StackNames, names_for
from turnout.cli.options import Home, Region
from turnout.cli.pack import pack_image
from turnout.cli.running import require_running
from turnout.cli.stack.balancer import Balancer
from turnout.cli.stack.ground import Ground
from turnout.cli.stack.parts import Report, Wishes
from turnout.cli.stack.releasing import Releasing
from turnout.errors import SetupError

REMOTE = "turnout"
SERVES_WITHIN_S = 120.0
LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Made:
    """Where the stack is reached."""

    names: StackNames
    push_url: str
    address: str
    test_address: str


def bootstrap(
    home: Home,
    folder: Annotated[Path, typer.Argument(help="Folder of the application.", file_okay=False, exists=True)] = Path(),
    name: Annotated[str | None, typer.Option(help="Name of every part.", show_default="the folder's")] = None,
    port: Annotated[int, typer.Option(help="Port of the production listener.", min=1, max=65535)] = 80,
    test_port: Annotated[int, typer.Option(help="Port of the test listener.", min=1, max=65535)] = 8080,
    health_path: Annotated[str, typer.Option(help="Path that answers 200 when a task can serve.")] = "/",
    desired_count: Annotated[int, typer.Option(help="How many tasks serve.", min=1, max=100)] = 1,
    branch: Annotated[str, typer.Option(help="Branch whose pushes are released.")] = "main",
    command: Annotated[
        str | None, typer.Option(help="Start command of the first image.", show_default="Procfile's web:")
    ] = None,
    region: Region = None,
    remote: Annotated[bool, typer.Option(help=f"Add the git remote `{REMOTE}`.")] = True,
) -> None:
    """Create the stack for an application: from its repository to its load balancer. Safe to repeat."""
    folder = folder.resolve()
    application = read_application(folder)
    if port == test_port:
        raise SetupError(f"--port and --test-port are both {port}: the two listeners need a port each.")
    names = names_for(name or folder.name)
    wishes = Wishes(port, test_port, health_path, desired_count, branch)
    clients = Clients(require_running(home), region)

    def report(kind: str, part: str, is_created: bool) -> None:
        print(f"  {'created' if is_created else 'unchanged':<11}{kind:<29}{part}", flush=True)

    made = build(clients, application, names, wishes, report, command=command)
    where = made.push_url
    if remote and is_repository(folder):
        where = REMOTE
        print(f"  {ensure_remote(folder, REMOTE, made.push_url):<11}{'git remote':<29}{REMOTE}")
    print(f"\n{names.name} serves at {made.address} (test listener: {made.test_address})")
    if not is_repository(folder):
        print(f"To release it, {folder} has to be a git repository of its own: `git init`, `git add`, `git commit`.")
    print(f"Next: `git push {where} HEAD:{branch}` releases a commit, `turnout status --watch` follows it.")


def build(
    clients: Clients,
    application: Application,
    names: StackNames,
    wishes: Wishes,
    report: Report,
    *,
    command: str | None = None,
) -> Made:
    """Ensure every part in the order in which they need each other, and wait until the service serves.

    What a person must put right is found first: nothing is left half made.
    """
    words = (clients, names, wishes, report)
    ground, balancing, releasing = Ground(*words), Balancer(*words), Releasing(*words)
    if releasing.find_service() is None:
        start_command(application.folder, command)
    balancing.check_ports()
    ground.registry()

    def first_task_definition() -> dict[str, Any]:
        image = pack_image(clients, application.folder, f"{names.name}:bootstrap", command)
        return application.task_definition_with(image)

    push_url = ground.repository()
    ground.bucket()
    topic = ground.topic()
    ground.role("execution")
    ground.build(ground.role("build"))
    blue, green = balancing.target_group(names.blue), balancing.target_group(names.green)
    balancer = balancing.balancer()
    production = balancing.listener("production", balancer["LoadBalancerArn"], wishes.port, blue)
    test = balancing.listener("test", balancer["LoadBalancerArn"], wishes.test_port, blue)
    releasing.cluster()
    live = balancing.live_group(production, (blue, green))
    releasing.service(first_task_definition, application.container, application.port, live)
    releasing.application()
    releasing.deployment_group(ground.role("deploy"), production, test, topic)
    releasing.pipeline(ground.role("pipeline"))
    wait_until_serving(clients, names, live)
    return Made(names, push_url, balancing.address(production), balancing.address(test))


def wait_until_serving(clients: Clients, names: StackNames, group_arn: str) -> None:
    """Until a target of the group is healthy. Raises SetupError with what the service says if none becomes so."""
    deadline = time.monotonic() + SERVES_WITHIN_S
    elbv2 = clients("elbv2")
    while True:
        targets = elbv2.describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]
        if any(target["TargetHealth"]["State"] == "healthy" for target in targets):
            return
        if time.monotonic() > deadline:
            service = clients("ecs").describe_services(cluster=names.name, services=[names.name])["services"][0]
            said = "\n".join(f"  {event['message']}" for event in service["events"][:5])
            raise SetupError(f"{names.name} does not serve after {SERVES_WITHIN_S:g} s. What the service says:\n{said}")
        time.sleep(LOOK_EVERY_S)
