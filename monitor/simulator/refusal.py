"""What JOB says no to, whatever the generation of its API: a code and a text.

``envelope`` puts a refusal into the words of each generation.
"""

from typing import Any, Final

from monitor.simulator.question import Scope

# bk-job commons ErrorCode.java and message_en.properties; a sense, not the letter.
# JOB's own default is Chinese (AddEsbLangHeaderGatewayFilterFactory).
_TEXTS: Final = {
    1240002: ("Internal Server Error", "服务内部异常"),
    1240003: ("Bad request", "请求不合法"),
    1241003: ("Step type is not supported", "不支持的步骤类型"),
    1241007: ("A parameter is missing or illegal", "参数缺失或不合法"),
    1241025: ("Illegal parameter bk_scope_type", "参数 bk_scope_type 不合法"),
    1244006: ("Task instance does not exist", "任务实例不存在"),
    1244007: ("Step instance does not exist", "步骤实例不存在"),
    1247002: ("User name is empty", "用户名为空"),
    9900403: (
        "User (admin) permission not allowed, please apply for {0}",
        "用户(admin)权限不足，请申请：{0}",
    ),
}

_ACTIONS: Final = {
    "view_history": "View history",
    "access_business": "Access business",
}

_SCOPE_NAMES: Final = {
    "biz": ("biz", "Business"),
    "biz_set": ("business_set", "Business set"),
    "tenant_set": ("tenant_set", "Tenant set"),
}


class Refused(Exception):
    """JOB refuses; *permission* says what to apply for, if that is the reason."""

    def __init__(self, code: int, *, permission: dict[str, Any] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.permission = permission

    def text(self, language: str) -> str:
        english, chinese = _TEXTS[self.code]
        chosen = english if language == "en" else chinese
        actions = (self.permission or {}).get("actions", ())
        return chosen.format(", ".join(action["name"] for action in actions))


def forbidden(scope: Scope, action: str = "view_history") -> Refused:
    """Refuse what IAM has not granted, with the whole of what could be applied for."""
    kind, kind_name = _SCOPE_NAMES.get(scope.kind, _SCOPE_NAMES["biz"])
    # commons/esb-sdk model/iam; it travels beside code and message, in v4 in error.
    resource = {
        "system_id": "bk_cmdb",
        "system_name": "BK-CMDB",
        "type": kind,
        "type_name": kind_name,
    }
    name = {
        "id": str(scope.number),
        "type": kind,
        "type_name": kind_name,
        "name": f"{scope.kind} {scope.number}",
    }
    wanted = {
        "id": action,
        "name": _ACTIONS[action],
        "related_resource_types": [{**resource, "instances": [[name]]}],
    }
    permission = {"system_id": "bk_job", "system_name": "BK-JOB", "actions": [wanted]}
    return Refused(9900403, permission=permission)
