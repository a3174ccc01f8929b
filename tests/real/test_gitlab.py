"""GitLab's pipelines, run by gitlab-ci-local against an engine: the article's own, and that of examples/gitlab."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from jsonschema import validate

from tests.parts import found, part
from tests.real.conftest import CACHE, CHECKOUT, Live
from turnout.cli.clients import Clients
from turnout.cli.demo.scene import Scene
from turnout.cli.demo.versions import Version

pytestmark = pytest.mark.real

HERE = Path(__file__).parent / "gitlab"
EXAMPLE = CHECKOUT / "examples" / "gitlab"
KEY = ("AKIAGITLAB", "s3cret")
SPECIMENS = {
    "open.tf": 'resource "aws_security_group" "ssh" {\n  ingress {\n    from_port   = 22\n    to_port     = 22\n'
    '    protocol    = "tcp"\n    cidr_blocks = ["0.0.0.0/0"]\n  }\n}\n',
    "secret.yml": "variables:\n  DB_PASSWORD: hunter2hunter2\n",
    "Dockerfile": "FROM nginx:latest\nADD http://example.org/x /x\n",
    "run.sh": '#!/bin/bash\neval "$1"\n',
    "page.html": '<html><body><script src="http://example.org/x.js"></script></body></html>\n',
    "run.py": "import subprocess\nimport sys\n\nsubprocess.run(sys.argv[1], shell=True)\n",
}


@dataclass(frozen=True)
class Project:
    """The example application as a GitLab project: its pipeline runs with what this engine's variables say."""

    live: Live
    key: Path
    key_id: str
    url: str

    @property
    def folder(self) -> Path:
        return self.live.scene.work_tree

    @cached_property
    def environment(self) -> dict[str, str]:
        tools = [
            Path(part("gitlab-ci-local", CACHE / "gitlab" / "node_modules" / ".bin" / "gitlab-ci-local")).parent,
            *(Path(part(name, CACHE / name / "bin" / name)).parent for name in ("semgrep", "checkov")),
            Path(part("the AWS CLI", CACHE / "awscli" / "bin" / "aws")).parent,
        ]
        for name in ("rsync", "ssh-agent"):
            part(name, found(name))
        ours = self.live.environment
        return ours | {
            "PATH": ":".join([*map(str, tools), ours["PATH"]]),
            "TMPDIR": str(self.live.scene.folder),
            "CODECOMMIT_URL": f"ssh://{self.key_id}@{self.url.removeprefix('ssh://')}",
            "CODECOMMIT_SSH_KEY": base64.b64encode(self.key.read_bytes()).decode(),
            "CODECOMMIT_KNOWN_HOSTS": ours["TURNOUT_KNOWN_HOSTS"],
            "PIPELINE": "hello",
            "FOLLOW_EVERY_S": "1",
            # Nothing is asked on the network but the engine: scanners that would try fail.
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "SEMGREP_SEND_METRICS": "off",
        }

    def commit(self, version: Version, ci: Path) -> str:
        """The files of a pipeline, and that version."""
        for name in (".gitlab-ci.yml", "ci", "specimens", ".gitlab-ci-local"):
            path = self.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.copytree(ci, self.folder, dirs_exist_ok=True)
        (self.folder / ".gitignore").write_text(".gitlab-ci-local/\n")
        return self.live.scene.commit(version)

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(EXAMPLE / "rehearse"), *words],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def serving(self) -> str:
        """What the application answers."""
        with build_opener(ProxyHandler({})).open(self.live.made.address, timeout=30) as answer:
            return str(answer.read().decode())

    def branches(self) -> dict[str, str]:
        codecommit = self.live.clients("codecommit")
        names = codecommit.list_branches(repositoryName="hello")["branches"]
        return {
            name: codecommit.get_branch(repositoryName="hello", branchName=name)["branch"]["commitId"] for name in names
        }


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """An engine that wants signatures, so that pushes over HTTPS need the AWS CLI's credential helper."""
    scene = Scene(Path(tempfile.mkdtemp(prefix="turnout-test-")))
    key = scene.folder / "codecommit"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TURNOUT_KEYS", ":".join(KEY))
        try:
            running = scene.start_engine()
            clients = Clients(running)
            made = scene.build_stack(clients, lambda kind, name, is_created: None)
            keygen = part("ssh-keygen", found("ssh-keygen"))
            subprocess.run([keygen, "-q", "-t", "rsa", "-N", "", "-f", str(key)], check=True)
            iam = clients("iam")
            iam.create_user(UserName="gitlab")
            body = Path(f"{key}.pub").read_text()
            uploaded = iam.upload_ssh_public_key(UserName="gitlab", SSHPublicKeyBody=body)["SSHPublicKey"]
            repository = clients("codecommit").get_repository(repositoryName="hello")["repositoryMetadata"]
            live = Live(scene, running, clients, made)
            yield Project(live, key, uploaded["SSHPublicKeyId"], repository["cloneUrlSsh"])
        finally:
            scene.end()


def article(project: Project, folder: Path) -> Path:
    """The article's file, its addresses changed: the project's, and those of CodeCommit."""
    text = (HERE / "article.gitlab-ci.yml").read_text()
    port = project.live.running.ssh_endpoint.rpartition(":")[2]
    for was, becomes in {
        "https://gitlab.com/Andr1500/cicd_bluegreen_codepipeline_ecs.git": f"file://{project.folder}",
        "ssh://git-codecommit.$AWS_DEFAULT_REGION.amazonaws.com/v1/repos/from_gitlab": project.url,
        "-t rsa git-codecommit.$AWS_DEFAULT_REGION.amazonaws.com": f"-t rsa -p {port} 127.0.0.1",
        "Host git-codecommit.*.amazonaws.com": "Host 127.0.0.1",
        "REPO_DIR: cicd_bluegreen_codepipeline_ecs": f"REPO_DIR: {project.folder.name}",
    }.items():
        assert was in text
        text = text.replace(was, becomes)
    (folder / ".gitlab-ci.yml").write_text(text)
    return folder


def test_the_articles_own_file_brings_a_commit_to_production(project: Project, tmp_path: Path) -> None:
    commit = project.commit(Version("article", "#123456", "From the article"), article(project, tmp_path))
    template = "gitlab.com/gitlab-org/gitlab/-/raw/HEAD/lib/gitlab/ci/templates/Security/SAST.gitlab-ci.yml"
    vendored = project.folder / ".gitlab-ci-local" / "includes" / template
    vendored.parent.mkdir(parents=True)
    shutil.copy(HERE / "SAST.gitlab-ci.yml", vendored)
    ran = project.run(
        VARIABLES="SSH_PRIVATE_KEY AWS_SSH_USER", SSH_PRIVATE_KEY=project.key.read_text(), AWS_SSH_USER=project.key_id
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "/analyzer" in ran.stdout + ran.stderr  # which may fail, and does
    assert project.live.follow(commit).status == "Succeeded"
    assert "article" in project.serving()


def test_a_commit_is_scanned_pushed_over_ssh_and_followed_until_it_serves(project: Project) -> None:
    specimens = project.folder / "specimens"
    project.commit(Version("scanned", "#123456", "Scanned"), EXAMPLE)
    specimens.mkdir()
    for name, text in SPECIMENS.items():
        (specimens / name).write_text(text)
    commit = project.live.scene.commit(Version("scanned", "#123457", "Scanned"))
    ran = project.run()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"LIVE: {commit} is what every request gets" in ran.stdout
    assert "scanned" in project.serving()
    schema = json.loads((HERE / "report.schema.json").read_text())
    seen = {}
    for scanner in ("semgrep", "checkov"):
        [path] = (project.folder / ".gitlab-ci-local" / "artifacts" / scanner).rglob("gl-sast-report.json")
        report = json.loads(path.read_text())
        validate(report, schema)
        seen[scanner] = {Path(found["location"]["file"]).name for found in report["vulnerabilities"]}
    assert seen["semgrep"] >= set(SPECIMENS)
    assert seen["checkov"] >= {"open.tf", "Dockerfile"}
    lines = project.key.read_text().splitlines()[1:4]
    encoded = project.environment["CODECOMMIT_SSH_KEY"][100:160]
    for path in project.live.scene.folder.rglob("*"):
        if path.is_file() and path != project.key and "codecommit" not in path.parts[-1]:
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in (*lines, encoded)), path


def test_a_version_that_does_not_come_to_serve_is_red_whatever_was_pushed_over_https(project: Project) -> None:
    before = project.serving()
    commit = project.commit(Version("broken", "#123456", "Broken", is_healthy=False), EXAMPLE)
    url = f"{project.live.running.endpoint}/v1/repos/hello"
    ran = project.run("--stage", "push_to_codecommit", CODECOMMIT_URL=url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "push_to_codecommit_over_https" in ran.stdout
    assert project.branches()["main"] == commit
    ran = project.run("follow", CODECOMMIT_URL=url)
    assert ran.returncode != 0
    assert f"NOT LIVE: {commit} came with d-" in ran.stdout + ran.stderr
    assert project.serving() == before


def test_a_host_key_that_is_not_the_pinned_one_gets_nothing(project: Project, tmp_path: Path) -> None:
    project.commit(Version("astray", "#123456", "Astray"), EXAMPLE)
    before = project.branches()
    pinned = tmp_path / "known_hosts"
    with_port = f"[127.0.0.1]:{project.live.running.ssh_endpoint.rpartition(':')[2]}"
    pinned.write_text(f"{with_port} {Path(f'{project.key}.pub').read_text()}")
    ran = project.run("push_to_codecommit", CODECOMMIT_KNOWN_HOSTS=str(pinned))
    assert ran.returncode != 0
    assert "Host key verification failed" in ran.stdout + ran.stderr
    assert project.branches() == before


def test_another_branch_is_scanned_and_goes_nowhere(project: Project) -> None:
    project.commit(Version("feature", "#123456", "A feature"), EXAMPLE)
    git = ["git", "-C", str(project.folder)]
    subprocess.run([*git, "switch", "--quiet", "--create", "feature"], check=True)
    try:
        listed = json.loads(project.run("--list-json").stdout)
    finally:
        subprocess.run([*git, "switch", "--quiet", "main"], check=True)
    assert {job["name"] for job in listed if job["when"] != "never"} == {"semgrep", "checkov"}
