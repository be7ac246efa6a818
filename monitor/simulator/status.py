"""The endpoint get_job_instance_status, in each generation of the API."""

from collections.abc import Callable
from functools import partial

from monitor.simulator import v2, v3, v4
from monitor.simulator.answer import Answer
from monitor.simulator.asked import asked, present
from monitor.simulator.envelope import Generation, Told
from monitor.simulator.instance import Instance
from monitor.simulator.question import Question
from monitor.simulator.story import Canned, Story
from monitor.simulator.timeline import Moment
from monitor.simulator.wording import Wording
from monitor.simulator.world import World

Put = Callable[[Moment, Wording], bytes]


def in_v2(world: World, question: Question) -> Told | Answer:
    instance = asked(world, question, Generation.V2)
    return _told(world, instance, "v2", v2.data)


def in_v3(world: World, question: Question) -> Told | Answer:
    instance = asked(world, question, Generation.V3)
    rows = question.flag("return_ip_result")
    return _told(world, instance, f"v3 {rows}", partial(v3.data, rows=rows))


def in_v4(world: World, question: Question) -> Told | Answer:
    instance = asked(world, question, Generation.V4)
    rows = question.flag("return_execute_object_result")
    return _told(world, instance, f"v4 {rows}", partial(v4.data, rows=rows))


def _told(world: World, instance: Instance, voice: str, put: Put) -> Told | Answer:
    match instance.story:
        case Canned(status=status, headers=headers, body=body):
            return Answer(status=status, headers=headers, body=body)
        case Story() as story:
            return _worded(world, instance, story, voice, put)


def _worded(
    world: World, instance: Instance, story: Story, voice: str, put: Put
) -> Told:
    moment = present(world, instance)
    words = world.wording(instance)
    if story.shuffled:
        data = put(moment, words)
    else:
        data = instance.printed(voice, moment, lambda: put(moment, words))
    return Told(data=data, flavour=instance.flavour, stringly=story.stringly)
