"""Caches of builds: in S3 and on this machine."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rooms.building import Building

S3 = {"type": "S3", "location": "bucket/caches"}
LOCAL = {"type": "LOCAL", "modes": ["LOCAL_CUSTOM_CACHE", "LOCAL_SOURCE_CACHE"]}
COUNTS = """\
version: 0.2
phases:
  build:
    commands:
      - mkdir -p modules $HOME/.m2
      - echo $(cat modules/count) one >modules/count
      - echo $(cat $HOME/.m2/count) one >$HOME/.m2/count
      - cat modules/count $HOME/.m2/count
      - test -z "$FAILS"
cache:
  paths: [modules/**/*, /root/.m2/**/*, /opt/elsewhere]
"""


@pytest.fixture
def building(world: Any) -> Building:
    building = Building(world)
    building.s3.create_bucket(Bucket="bucket")
    return building


@pytest.mark.parametrize("cache", [S3, LOCAL], ids=["S3", "LOCAL"])
def test_a_build_finds_what_the_last_one_that_succeeded_has_left(building: Building, cache: dict[str, Any]) -> None:
    building.create(COUNTS, cache=cache)
    fails = [{"name": "FAILS", "value": "yes"}]
    assert building.finish(building.start())["buildStatus"] == "SUCCEEDED"
    assert building.finish(building.start(environmentVariablesOverride=fails))["buildStatus"] == "FAILED"
    building.die()
    building.revive()
    build = building.finish(building.start())
    assert [line for line in building.said(build) if line.startswith("one")] == ["one one", "one one"]
    log = "\n".join(building.log(build))
    assert "turnout: /opt/elsewhere is not cached" in log
    assert "Restored cache default from" in log
    building.codebuild.invalidate_project_cache(projectName="app")
    build = building.finish(building.start())
    assert [line for line in building.said(build) if line.startswith("one")] == ["one", "one"]


def test_a_local_cache_goes_with_its_project(building: Building) -> None:
    building.create(COUNTS, cache=LOCAL)
    build = building.finish(building.start())
    assert any("sources lie on this machine" in line for line in building.log(build))
    folder = building.world.engine.config.build_caches
    assert len([file for file in folder.rglob("*") if file.is_file()]) == 1
    building.codebuild.delete_project(name="app")
    assert not [file for file in folder.rglob("*") if file.is_file()]


def test_a_key_of_files_finds_its_cache_and_else_the_newest_that_begins_alike(building: Building) -> None:
    spec = """\
version: 0.2
phases:
  install: {commands: ['echo found $(cat modules)', 'echo $LOCK >modules']}
cache:
  key: npm-$(codebuild-hash-files %s)
  fallback-keys: [npm-]
  paths: [modules]
"""
    building.create(spec % "/etc/hosts", cache=S3)
    for file in ("/etc/hosts", "/etc/hosts", "/etc/passwd"):
        lock = [{"name": "LOCK", "value": file}]
        started = building.start(buildspecOverride=spec % file, environmentVariablesOverride=lock)
        found = building.said(building.finish(started))
    assert found == ["found /etc/hosts"]
    keys = [item["Key"] for item in building.s3.list_objects_v2(Bucket="bucket")["Contents"]]
    assert len(keys) == 2
    assert all(key.startswith("caches/app/npm-") for key in keys)


def test_a_cache_that_cannot_be_had_is_said_and_fails_nothing(building: Building) -> None:
    building.create(COUNTS, cache={"type": "S3", "location": "nowhere/caches"})
    build = building.finish(building.start())
    assert build["buildStatus"] == "SUCCEEDED"
    log = "\n".join(building.log(build))
    assert "Unable to download cache: NoSuchBucket: The specified bucket does not exist" in log
    assert "Unable to upload cache: NoSuchBucket: The specified bucket does not exist" in log
    build = building.finish(building.start(cacheOverride=LOCAL, buildspecOverride=COUNTS.partition("cache:")[0]))
    assert any("no paths specified to save" in line for line in building.log(build))


@pytest.mark.parametrize("cache", [{"type": "S3"}, {"type": "LOCAL"}])
def test_a_cache_without_what_its_type_needs_is_refused(building: Building, cache: dict[str, str]) -> None:
    with pytest.raises(ClientError, match=f"A cache of type {cache['type']} needs"):
        building.create(COUNTS, cache=cache)
