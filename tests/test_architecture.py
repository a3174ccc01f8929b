"""The import table of docs/architecture.md, held by the code itself."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "turnout"
WORDS = {
    "errors",
    "hindrances",
    "names",
    "jsontext",
    "config",
    "registry",
    "clock",
    "timekeeping",
    "traffic",
    "routes",
    "leaving",
    "owntags",
    "taskdef",
    "yamlfile",
    "hookplace",
    "hookfile",
    "authority",
}
MEMORY = {
    "store",
    "rows",
    "ledger",
    "moves",
    "runs",
    "aws",
    "samples",
    "receipt",
    "receipts",
    "measuring",
    "certificates",
    "zones",
}
ROOMS = {
    "codecommit",
    "codepipeline",
    "codebuild",
    "codedeploy",
    "ecr",
    "ecs",
    "loadbalancer",
    "logs",
    "cloudwatch",
    "awslambda",
    "autoscaling",
    "acm",
}
DOORS = {"gateway", "console"}
LAYERS = {
    **dict.fromkeys(WORDS, WORDS),
    **dict.fromkeys(MEMORY, WORDS | MEMORY),
    "runner": WORDS | MEMORY,
    "runtimes": WORDS,
    **{room: WORDS | MEMORY | {"runner", "runtimes"} for room in ROOMS},
    **dict.fromkeys(DOORS, WORDS | MEMORY),
    "app": None,
    "hosting": None,
    "cli": WORDS | {"runtimes", "hosting"},
    "examples": set(),
}


def imports(path: Path) -> set[str]:
    """The top-level modules of turnout that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("turnout"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("turnout.")}
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    layer = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if layer in ("__init__", "__main__"):
        return
    allowed = LAYERS[layer]
    if allowed is not None:
        assert imports(path) - allowed - {layer, "__version__"} == set()


def test_only_up_and_the_demo_build_an_engine() -> None:
    users = {path.name for path in (SOURCE / "cli").rglob("*.py") if "hosting" in imports(path)}
    assert users <= {"up.py"}
