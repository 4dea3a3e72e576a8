"""What each role does, and that between them they do everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.app import Node, queues
from node.config import Config, config_from
from node.pipeline.jobs import Job, Stage
from node.roles import ALL_ROLES, Role

#: Where a stage's queues are of one PACS or destination each, its name.
OF = {Stage.FETCH: "ARCHIVE", Stage.DELIVER: "pacs", Stage.FORWARD: "pacs", Stage.COMMIT: "pacs"}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    peer = {"ae_title": "ARCHIVE", "host": "127.0.0.1", "port": 4242, "priors": {"concurrency": 2}}
    pacs = {"peer": "ARCHIVE", "results": ["summary_sc"], "concurrency": 3}
    storage = {"database_url": "sqlite:///node.sqlite", "object_folder": "objects"}
    return config_from({"peers": {"ARCHIVE": peer}, "destinations": {"pacs": pacs}, "storage": storage}, tmp_path)


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_is_run_by_exactly_one_role(config: Config, stage: Stage) -> None:
    job = Job(stage=stage, study_instance_uid="1.2", revision=1, number=1, destination=OF.get(stage, ""))
    assert job.queue in queues(config, ALL_ROLES)
    doing = [role for role in Role if job.queue in queues(config, [role])]
    sends = stage in (Stage.DELIVER, Stage.FORWARD, Stage.COMMIT)
    assert doing == [Role.SEND if sends else Role.READ]


def test_queues_are_as_wide_as_the_configuration_says(config: Config) -> None:
    found = queues(config, ALL_ROLES)
    assert (found["fetch-ARCHIVE"], found["deliver-pacs"], found["commit-pacs"]) == (2, 3, 1)


@pytest.mark.parametrize(("roles", "asked"), [([Role.WEB], False), ([Role.WEB, Role.READ], True)])
def test_health_asks_for_models_only_where_they_are(config: Config, roles: list[Role], asked: bool) -> None:
    node = Node(config, roles)
    node.database.create_schema()
    told = [each.what for each in node.health.conditions()]
    node.stop()
    assert ("models of reading" in told) is asked
    assert "database" in told
