"""A person's own scenarios, written in YAML."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.simulator import esb, script
from monitor.simulator.entry import WrongEntryError
from monitor.simulator.esb import Question
from monitor.simulator.faults import Name
from monitor.simulator.story import Flavour
from monitor.simulator.world import World

ROOT = Path(__file__).parents[2]

OWN = """
faults:
  - {name: latency, value: 0.5, chance: 0.1}
instances:
  - scenario: one_ip_fails
    id: 1
    hosts: [10.9.0.1, "3:10.9.0.2"]
    failing: [0]
    beat: 1
    flavour: document
    faults: [{name: 5xx, value: 502, until: 10}]

  - name: my_release
    id: 2
    biz: 3
    hosts: 3
    timeline:
      - {at: 0, job: 1, steps: [{name: unpack}]}
      - {at: 5, job: 2, steps: [{name: unpack, status: 2, hosts: {"*": 7}}]}
      - at: 10
        job: 4
        steps:
          - name: unpack
            status: 4
            hosts: {"*": 9, 10.0.0.2: [9, 11], "4:10.7.7.7": 104}
      - {at: 99}

  - id: 4
    answer: {status: 500, headers: {X-From: me}, body: "not even JSON"}

  - id: 5
    answer: {base64: AAH/}
"""


class HandMovedClock:
    reading = 0.0

    def __call__(self) -> float:
        return self.reading


def asked(world: World, biz: int, identifier: int) -> Any:
    parameters = {"bk_biz_id": biz, "job_instance_id": identifier}
    return esb.answer(world, Question(parameters=parameters))


def told(world: World, biz: int, identifier: int) -> Any:
    return msgspec.json.decode(asked(world, biz, identifier).body)


@pytest.fixture
def clock() -> HandMovedClock:
    return HandMovedClock()


@pytest.fixture
def world(clock: HandMovedClock) -> World:
    world = World(clock=clock)
    script.enact(world, script.parsed(OWN))
    return world


def test_a_script_plays_all_it_names(world: World) -> None:
    assert [str(instance) for instance in world.instances.values()] == [
        "2/1",
        "3/2",
        "2/4",
        "2/5",
    ]
    assert [fault.name for fault in world.faults.faults] == [Name.LATENCY]


def test_a_built_in_scenario_takes_hosts_flavour_and_faults(world: World) -> None:
    instance = world.instances[2, 1]

    last = instance.moment(100)

    assert last is not None
    assert [(row.host.address, row.status) for row in last.steps[0].rows] == [
        ("10.9.0.1", 104),
        ("3:10.9.0.2", 9),
    ]
    assert instance.flavour is Flavour.DOCUMENT
    assert [fault.choice for fault in instance.faults.faults] == ["502"]


def test_an_own_timeline_goes_through_its_states(
    world: World, clock: HandMovedClock
) -> None:
    world.switch([])
    clock.reading = 10

    job = told(world, 3, 2)["data"]["job_instance"]

    assert (job["name"], job["status"], job["total_time"]) == ("my_release", 4, 5.0)


def test_hosts_are_named_or_meant_by_a_star(
    world: World, clock: HandMovedClock
) -> None:
    world.switch([])
    clock.reading = 10

    (block,) = told(world, 3, 2)["data"]["blocks"]
    rows = block["step_instances"][0]["step_ip_status"]

    assert [(row["bk_cloud_id"], row["ip"], row["status"]) for row in rows] == [
        (0, "10.0.0.1", 9),
        (0, "10.0.0.2", 9),
        (0, "10.0.0.2", 11),
        (0, "10.0.0.3", 9),
        (4, "10.7.7.7", 104),
    ]


def test_a_state_without_a_job_is_archived(world: World, clock: HandMovedClock) -> None:
    world.switch([])
    clock.reading = 99

    assert told(world, 3, 2)["code"] == 1244006


def test_canned_answers_are_bytes_as_they_stand(world: World) -> None:
    world.switch([])
    text, binary = asked(world, 2, 4), asked(world, 2, 5)

    assert (text.status, text.headers) == (500, {"X-From": "me"})
    assert text.body == b"not even JSON"
    assert binary.body == b"\x00\x01\xff"


WORN = """
- id: 1
  biz: 9
  scope_type: tenant_set
  ago: 86400
  launch: {plan_id: 1001, operator: amy, name: nightly}
  hosts: ["10.0.0.1", "[2001:db8::7]", "container:nginx"]
  timeline:
    - job: 4
      steps:
        - status: 4
          hosts:
            "*": 9
            "container:nginx": {status: 104, tag: disk_full, exit: 28, log: "no space"}
            "3:[2001:db8::8]": [9, {status: 11}]
"""


def test_targets_fare_in_all_the_ways_that_can_be_written(
    clock: HandMovedClock,
) -> None:
    world = World(clock=clock)

    (instance,) = script.enact(world, script.parsed(WORN))

    moment = instance.moment(0)
    assert moment is not None
    rows = moment.steps[0].rows
    assert [(row.host.address, row.status, row.exit) for row in rows] == [
        ("10.0.0.1", 9, 0),
        ("[2001:db8::7]", 9, 0),
        ("container:nginx", 104, 28),
        ("3:[2001:db8::8]", 9, 0),
        ("3:[2001:db8::8]", 11, None),
    ]
    assert (rows[2].tag, rows[2].log) == ("disk_full", "no space")


def test_an_instance_has_a_scope_a_past_and_somebody_who_launched_it(
    clock: HandMovedClock,
) -> None:
    world = World(clock=clock)

    (instance,) = script.enact(world, script.parsed(WORN))

    assert (str(instance), instance.began) == ("tenant_set/9/1", -86400)
    assert (instance.name, instance.launch.operator) == ("nightly", "amy")


def test_a_script_may_be_a_bare_list() -> None:
    assert script.parsed("- {scenario: hang}").instances[0].scenario == "hang"


@pytest.mark.parametrize(
    ("text", "excerpt"),
    [
        ("instances: [", "line 1"),
        ("instances: [{scenaro: hang}]", "scenaro"),
        ("- {timeline: [{at: -1}]}", "timeline"),
        ("- {timeline: [{job: 2, steps: [{hosts: {a-name: 9}}]}]}", "hosts"),
        ("- {scenario: hang, faults: [{name: rain}]}", "rain"),
        ("- {scenario: hang, name: two words}", "name"),
        ("just words", "object"),
    ],
)
def test_a_script_that_is_wrong_says_where(text: str, excerpt: str) -> None:
    with pytest.raises(WrongEntryError, match=excerpt):
        script.parsed(text)


@pytest.mark.parametrize(
    "text", ["- {scenario: x}", "- {}", "- {scenario: hang, answer: {}}"]
)
def test_an_entry_that_cannot_be_played_is_named(text: str) -> None:
    with pytest.raises(WrongEntryError, match=r"instances\[1\]: "):
        script.parsed("- {scenario: hang}\n" + text)


def test_the_example_of_the_manual_can_be_played() -> None:
    manual = (ROOT / "docs/simulator.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)

    assert len(script.parsed(example).instances) == 3
