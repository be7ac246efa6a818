"""The bus and JOB behind it, as a v2 caller meets them: checks, envelope, errors.

No sockets: a question in, an `Answer` out. What JOB or the bus refuses is HTTP
200 with ``result`` false; only proxies and page errors use the status line.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from monitor.simulator import credentials, faults, v2
from monitor.simulator.answer import Answer
from monitor.simulator.faults import Fault, Name
from monitor.simulator.instance import Instance
from monitor.simulator.story import Canned, Flavour, Story
from monitor.simulator.timeline import Moment
from monitor.simulator.world import World

# legacy-bk-paas confapis/job/job.yaml; GET and POST alike.
STATUS: Final = "/api/c/compapi/v2/job/get_job_instance_status/"

# esb/bkauth/validators.py of the bus. The last one does not say "authentication".
_BAD_TOKEN = "User authentication failed, please check if the bk_token is valid"  # noqa: S105
_NO_USER = (
    "User authentication failed, please provide a valid user identity, "
    "such as bk_username, bk_token, access_token"
)
_EXPIRED = {
    "token": _BAD_TOKEN,
    "access_token": "The specified user TOKEN [bk_access_token] has expired, "
    "please apply for authorization again",
}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the status API: its parameters, wherever they were written."""

    parameters: Mapping[str, Any]
    authorization: str | None = None

    @property
    def key(self) -> tuple[int, int] | None:
        """The business and instance that are asked about, if they are numbers."""
        # EsbAppScopeReq: the scope, since 3.5, wins over bk_biz_id.
        biz = self.parameters.get("bk_scope_id") or self.parameters.get("bk_biz_id")
        try:
            return int(str(biz)), int(str(self.parameters.get("job_instance_id")))
        except ValueError:
            return None


def answer(world: World, question: Question) -> Answer:
    """Answer *question* as JOB would, and as the weather lets it through."""
    key = question.key
    instance = world.find(*key) if key else None
    striking = world.striking(instance)
    said = (
        _refused_by(striking, world, question)
        or _refused_by_bus(world, question)
        or _said_by_job(world, key)
    )
    return faults.spoil(said, striking)


def _refused_by(
    striking: Iterable[Fault], world: World, question: Question
) -> Answer | None:
    for fault in striking:
        match fault.name:
            case Name.THROTTLE:
                return _bus_says(world, 1306429, _too_often(question))
            case Name.EXPIRED:
                return _bus_says(world, 1306000, _EXPIRED[fault.choice])
            case Name.INTERNAL_ERROR:
                return _job_says(world, 1240002, "Internal Server Error")
    return None


def _too_often(question: Question) -> str:
    # esb/ratelimit/validators.py
    app = credentials.offered(question.parameters, question.authorization).app_code
    return (
        f"Access frequency limit, Access frequency of APP [{app or ''}] to component "
        "[/v2/job/get_job_instance_status/] exceeds the limit; the frequency limit is "
        "[1000/1minute], please try again later"
    )


def _refused_by_bus(world: World, question: Question) -> Answer | None:
    if world.credentials is None:
        return None
    given = credentials.offered(question.parameters, question.authorization)
    if credentials.satisfied(world.credentials, given):
        return None
    anybody = given.username or given.token or given.access_token
    return _bus_says(world, 1306000, _BAD_TOKEN if anybody else _NO_USER)


def _said_by_job(world: World, key: tuple[int, int] | None) -> Answer:
    if key is None:
        return _job_says(world, 1241007, "A parameter is missing or illegal")
    if key[0] in world.forbidden:
        return _forbidden(world, key[0])
    # TaskInstanceServiceImpl: one code for unknown, archived and another business's.
    return _played(world, world.find(*key)) or _job_says(
        world, 1244006, "Task instance does not exist"
    )


def _played(world: World, instance: Instance | None) -> Answer | None:
    if instance is None:
        return None
    match instance.story:
        case Canned(status=status, headers=headers, body=body):
            return Answer(status=status, headers=headers, body=body)
        case Story() as story:
            moment = instance.moment(world.now())
            return _success(world, instance, story, moment) if moment else None


def _success(world: World, instance: Instance, story: Story, moment: Moment) -> Answer:
    wording = v2.Wording(
        biz=instance.biz,
        job_instance_id=instance.job_instance_id,
        name=story.name,
        epoch=world.epoch + instance.began,
        flavour=instance.flavour,
        stringly=story.stringly,
        shuffle=world.luck.shuffle if story.shuffled else None,
    )
    if story.shuffled:
        data = v2.data(moment, wording)
    else:
        data = instance.printed(moment, lambda: v2.data(moment, wording))
    return Answer(body=_envelope(world, instance.flavour, data, story.stringly))


def _envelope(world: World, flavour: Flavour, data: bytes, stringly: bool) -> bytes:  # noqa: FBT001
    code = b'"0"' if stringly else b"0"
    # The bus adds message and request_id (esb/channel/base.py); the document's
    # example knows nothing of job_request_id.
    ours = (
        b"" if flavour is Flavour.DOCUMENT else b',"job_request_id":"%b"' % _id(world)
    )
    return b'{"result":true,"code":%b,"message":"","request_id":"%b"%b,"data":%b}' % (
        code,
        _id(world),
        ours,
        data,
    )


def _id(world: World) -> bytes:
    return b"%032x" % world.luck.getrandbits(128)


def _job_says(world: World, code: int, message: str, **more: Any) -> Answer:
    ours = {"job_request_id": _id(world).decode(), **more}
    return _bus_says(world, code, message, **ours)


def _bus_says(world: World, code: int, message: str, **more: Any) -> Answer:
    said = {
        "result": False,
        "code": code,
        "data": None,
        "message": message,
        "request_id": _id(world).decode(),
        **more,
    }
    return Answer(body=msgspec.json.encode(said))


def _forbidden(world: World, biz: int) -> Answer:
    # commons/esb-sdk model/iam; the whole of it travels beside code and message.
    business = {
        "system_id": "bk_cmdb",
        "system_name": "BK-CMDB",
        "type": "biz",
        "type_name": "Business",
    }
    name = {
        "id": str(biz),
        "type": "biz",
        "type_name": "Business",
        "name": f"biz {biz}",
    }
    action = {
        "id": "view_history",
        "name": "View history",
        "related_resource_types": [{**business, "instances": [[name]]}],
    }
    permission = {"system_id": "bk_job", "system_name": "BK-JOB", "actions": [action]}
    message = "User (admin) permission not allowed, please apply for View history"
    return _job_says(world, 9900403, message, permission=permission)
