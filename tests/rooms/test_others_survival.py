"""What moto keeps outlives the process: compared by everything that can be read, in processes of their own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.boto import client
from turnout.clock import ManualClock
from turnout.errors import Hindered, SetupError
from turnout.gateway.others import Others

ROOT = Path(__file__).parents[2]
STACK = ROOT / "tests" / "rooms" / "moto_stack.py"


@pytest.fixture(autouse=True)
def policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests look at what AWS ships, policies and images, which others do without."""
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "true")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "moto"


@pytest.fixture
def engines(folder: Path) -> Iterator[Any]:
    """`engines()` starts an engine on the folder, as after a SIGKILL of the one before."""
    started: list[Others] = []

    def start(at: float = 1_790_000_000.0) -> Others:
        started.append(Others(folder, ManualClock(at)))
        started[-1].start()
        return started[-1]

    yield start
    started[-1].close()


def run(folder: Path, *acts: str) -> int:
    done = subprocess.run([sys.executable, STACK, folder, *acts], env={"PYTHONPATH": f"{ROOT}:{ROOT}/src"}, check=False)
    return done.returncode


def read(path: Path) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(path.read_text())
    return seen


@pytest.mark.crash
def test_a_whole_stack_reads_the_same_after_a_kill_and_after_a_clean_restart(tmp_path: Path) -> None:
    before, killed, restarted = (tmp_path / name for name in ("before", "killed", "restarted"))
    assert run(tmp_path, "build", f"read:{before}", "kill") == -signal.SIGKILL
    assert run(tmp_path, f"read:{killed}", "close") == 0
    assert not list((tmp_path / "moto").glob("journal-*"))
    assert run(tmp_path, f"read:{restarted}", "kill") == -signal.SIGKILL

    expected = read(before)
    assert len(expected) > 300
    assert read(killed) == expected
    assert read(restarted) == expected


def test_what_was_one_object_is_one_object_after_a_restart(engines: Any) -> None:
    """Autoscaling's instance is EC2's own, not a copy of it that nobody would see change."""
    others = engines()
    ec2 = client(others, "ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=subnet["VpcId"])["GroupId"]
    image = ec2.describe_images(Filters=[{"Name": "platform", "Values": ["windows"]}])["Images"][0]["ImageId"]
    template = {"ImageId": image, "InstanceType": "t3.micro", "SecurityGroupIds": [group]}
    ec2.create_launch_template(LaunchTemplateName="host", LaunchTemplateData=template)
    client(others, "autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="hosts",
        LaunchTemplate={"LaunchTemplateName": "host"},
        MinSize=1,
        MaxSize=1,
        VPCZoneIdentifier=subnet["SubnetId"],
    )
    others.snapshot()

    engines()
    from moto.autoscaling.models import autoscaling_backends
    from moto.ec2.models import ec2_backends

    scaled = autoscaling_backends["000000000000"]["us-east-1"]
    assert scaled.ec2_backend is ec2_backends["000000000000"]["us-east-1"]
    instance = scaled.autoscaling_groups["hosts"].instance_states[0].instance
    assert instance is scaled.ec2_backend.get_instance(instance.id)
    assert instance.security_groups[0] is scaled.ec2_backend.get_security_group_from_id(group)


def test_a_region_that_was_only_read_is_the_same_after_a_kill(engines: Any) -> None:
    """moto makes a region's default network, with random ids, when somebody first looks at it."""
    seen = client(engines(), "ec2", "eu-west-1").describe_subnets()["Subnets"]
    assert client(engines(1_790_009_999.0), "ec2", "eu-west-1").describe_subnets()["Subnets"] == seen


def test_what_aws_ships_is_not_written_down_but_its_changes_are(engines: Any, folder: Path) -> None:
    others = engines()
    iam = client(others, "iam")
    policy = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    iam.create_user(UserName="reader")
    iam.attach_user_policy(UserName="reader", PolicyArn=policy)
    others.snapshot()
    assert (folder / "snapshot-1").stat().st_size < 200_000

    iam = client(engines(), "iam")
    assert iam.get_policy(PolicyArn=policy)["Policy"]["AttachmentCount"] == 1
    assert iam.list_attached_user_policies(UserName="reader")["AttachedPolicies"][0]["PolicyArn"] == policy


def test_a_torn_last_line_is_dropped_and_the_journal_goes_on(
    engines: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sns = client(engines(), "sns")
    sns.create_topic(Name="whole")
    sns.create_topic(Name="torn")
    journal = folder / "journal-0"
    journal.write_bytes(journal.read_bytes()[:-20])

    with caplog.at_level(logging.WARNING):
        sns = client(engines(), "sns")
    assert "its answer never left" in caplog.text
    sns.create_topic(Name="next")
    assert topics(engines()) == ["whole", "next"]


def test_a_journal_that_is_damaged_in_the_middle_is_not_opened(engines: Any, folder: Path) -> None:
    sns = client(engines(), "sns")
    sns.create_topic(Name="one")
    sns.create_topic(Name="two")
    journal = folder / "journal-0"
    damaged = b"x" + journal.read_bytes()[1:]
    journal.write_bytes(damaged)
    with pytest.raises(SetupError, match="damaged at line 1"):
        Others(folder, ManualClock()).start()
    assert journal.read_bytes() == damaged
    journal.unlink()
    engines()


def test_records_of_another_moto_are_refused_and_left_alone(engines: Any, folder: Path) -> None:
    others = engines()
    client(others, "sns").create_topic(Name="kept")
    others.close()
    origin = folder / "origin.json"
    ours = origin.read_text()
    origin.write_text(json.dumps(json.loads(ours) | {"moto": "4.0.0"}))
    held = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    with pytest.raises(SetupError, match=r"pip install 'moto==4\.0\.0'"):
        Others(folder, ManualClock()).start()
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == held

    origin.write_text(ours)
    assert topics(engines()) == ["kept"]


def test_a_snapshot_that_cannot_be_read_is_named(engines: Any, folder: Path) -> None:
    others = engines()
    client(others, "sns").create_topic(Name="kept")
    others.close()
    snapshot = folder / "snapshot-1"
    sound = snapshot.read_bytes()
    snapshot.write_bytes(sound[:100])
    with pytest.raises(SetupError, match="snapshot-1 of moto's state cannot be read"):
        Others(folder, ManualClock()).start()
    snapshot.write_bytes(sound)
    assert topics(engines()) == ["kept"]


def test_state_that_cannot_be_pickled_stays_in_the_journal(
    engines: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = engines()
    client(others, "sns").create_topic(Name="kept")
    from moto.sns.models import sns_backends

    sns_backends["000000000000"]["us-east-1"].something = (number for number in range(3))
    others.close()
    assert "its journal goes on" in caplog.text
    assert topics(engines()) == ["kept"]


def test_bodies_are_kept_once_and_go_with_their_last_object(engines: Any, folder: Path) -> None:
    others = engines()
    s3 = client(others, "s3")
    s3.create_bucket(Bucket="bbb")
    for key in ("one", "two"):
        s3.put_object(Bucket="bbb", Key=key, Body=b"x" * 100_000)
    assert len(list((folder / "bodies").iterdir())) == 1
    s3.delete_object(Bucket="bbb", Key="one")
    others.snapshot()
    assert s3.get_object(Bucket="bbb", Key="two")["Body"].read() == b"x" * 100_000
    s3.delete_object(Bucket="bbb", Key="two")
    others.snapshot()
    assert list((folder / "bodies").iterdir()) == []


def topics(others: Others) -> list[str]:
    """The names of the topics that there are."""
    return [t["TopicArn"].rpartition(":")[2] for t in client(others, "sns").list_topics()["Topics"]]


class Killed(BaseException):
    """Where a test lets the engine die."""


@pytest.mark.parametrize("point", range(9))
def test_killed_at_any_write_it_keeps_what_was_answered(
    engines: Any, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    """Every fsync on the way through two changes, a snapshot, and two more changes is a point to die at."""
    others = engines()
    sns = client(others, "sns")
    sns.create_topic(Name="begun")
    answered, points, real = ["begun"], iter(range(100)), os.fsync

    def fsync(handle: int) -> None:
        if next(points) == point:
            raise Killed
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Killed):
        for act in ("one", "two", "snapshot", "three", "four", "snapshot", "five"):
            if act == "snapshot":
                others.snapshot()
            else:
                sns.create_topic(Name=act)
                answered.append(act)
    monkeypatch.undo()
    # What was being written when it died may have reached the disk, or not.
    assert topics(engines())[: len(answered)] == answered


def test_a_grown_journal_becomes_a_snapshot_at_a_quiet_moment(
    engines: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turnout.gateway.moto.survival.SOON_ENTRIES", 3)
    monkeypatch.setattr("turnout.gateway.others.QUIET_S", 0)
    others = engines()

    async def work() -> None:
        for name in "abc":
            others.call("sns", "CreateTopic", "us-east-1", {"Name": name})
        assert not (folder / "snapshot-1").exists()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(work())
    assert (folder / "snapshot-1").exists()
    assert topics(engines()) == ["a", "b", "c"]


def test_a_journal_that_grows_without_pause_becomes_a_snapshot_at_once(
    engines: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turnout.gateway.moto.survival.SOON_ENTRIES", 1)
    monkeypatch.setattr("turnout.gateway.moto.survival.AT_ONCE", 3)
    others = engines()
    for name in "abcd":
        others.call("sns", "CreateTopic", "us-east-1", {"Name": name})
    assert (folder / "snapshot-1").exists()
    assert len((folder / "journal-1").read_bytes().splitlines()) == 1
    assert topics(engines()) == ["a", "b", "c", "d"]


def test_a_full_disk_is_not_answered_with_success(engines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    others = engines()
    others.call("sns", "CreateTopic", "us-east-1", {"Name": "before"})

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for _ in range(2):
        with pytest.raises(Hindered, match="the disk is full"):
            others.call("sns", "CreateTopic", "us-east-1", {"Name": "lost"})
    # Nothing is written by a question: it is answered all the while.
    assert topics(others) == ["before", "lost"]
    monkeypatch.undo()
    others.call("sns", "CreateTopic", "us-east-1", {"Name": "after"})
    # The caller of "lost" must look; what it finds is what is on the disk, too.
    held = topics(others)
    assert topics(engines()) == held == ["before", "lost", "after"]


def test_reads_are_not_journaled(engines: Any, folder: Path) -> None:
    others = engines()
    client(others, "ec2").describe_vpcs()
    client(others, "s3").list_buckets()
    client(others, "sts").get_caller_identity()
    client(others, "ssm").describe_parameters()
    assert not (folder / "journal-0").exists()


def test_an_engine_that_uses_no_other_service_writes_nothing(folder: Path) -> None:
    others = Others(folder, ManualClock())
    others.start()
    others.close()
    assert not folder.exists()


def test_moto_lives_in_the_time_of_the_clock(engines: Any) -> None:
    others = engines(1_800_000_000.0)
    client(others, "iam").create_user(UserName="timely")
    created = client(others, "iam").get_user(UserName="timely")["User"]["CreateDate"]
    assert created.timestamp() == 1_800_000_000.0
