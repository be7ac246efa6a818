"""The sentences that people read, in each language.

The names in the braces are filled in by ``wording``; what comes from JOB is put in
as text, never read as a phrase.
"""

from typing import Final

from msgspec import Struct


class Phrases(Struct, frozen=True, kw_only=True):
    """What an alert says has the name of the alert."""

    hosts_failed: str
    job_failed: str
    hosts_unfinished: str
    job_waiting: str
    step_waiting: str
    job_stalled: str
    job_overdue: str
    longer_than_ever: str
    job_gone: str
    job_refused: str
    source_lost: str
    several: str
    among_them: str
    more: str
    recovered: str
    recovered_as: str
    ended: str
    also_ended: str
    joint: str
    causes: dict[str, str]
    units: tuple[str, str, str]


EN: Final = Phrases(
    hosts_failed="{failed} of {total} hosts failed in step {step!r}",
    job_failed="job ended: {status}",
    hosts_unfinished=(
        "{unfinished} of {total} hosts were left unfinished in step {step!r}"
    ),
    job_waiting="job waits for a person",
    step_waiting="step {step!r} waits for a person",
    job_stalled="nothing has moved for {limit}",
    job_overdue="job has run for more than {limit}",
    longer_than_ever=("job has run for more than {limit}, longer than its past runs"),
    job_gone="JOB no longer knows this instance",
    job_refused="JOB does not let us look: {reason}",
    source_lost="JOB cannot be seen ({reason}); nothing is known of its jobs",
    several="{count} alerts: {said}",
    among_them="{count} alerts, {failed} failed hosts: {said}",
    more="and {count} more",
    recovered="recovered",
    recovered_as="recovered: {status}",
    ended="{count} alerts are over",
    also_ended="{said}; {count} alerts are over",
    joint="; ",
    causes={},
    units=(" h", " min", " s"),
)

ZH: Final = Phrases(
    hosts_failed="步骤 {step!r} 中 {total} 台主机有 {failed} 台失败",
    job_failed="作业结束：{status}",
    hosts_unfinished="步骤 {step!r} 中 {total} 台主机有 {unfinished} 台没有执行完",
    job_waiting="作业等待人工处理",
    step_waiting="步骤 {step!r} 等待人工处理",
    job_stalled="作业已有 {limit} 没有任何进展",
    job_overdue="作业运行已超过 {limit}",
    longer_than_ever="作业运行已超过 {limit}，比以往的执行都久",
    job_gone="JOB 中已查不到该作业实例",
    job_refused="JOB 拒绝查询：{reason}",
    source_lost="无法访问 JOB（{reason}），其作业状态未知",
    several="{count} 条告警：{said}",
    among_them="{count} 条告警，{failed} 台主机失败：{said}",
    more="另有 {count} 条",
    recovered="已恢复",
    recovered_as="已恢复：{status}",
    ended="{count} 条告警已结束",
    also_ended="{said}；{count} 条告警已结束",
    joint="；",
    causes={
        "unreachable": "无法连接",
        "auth": "凭据被拒绝",
        "throttled": "被限流",
        "garbled": "应答无法解析",
    },
    units=(" 小时", " 分钟", " 秒"),
)


def spoken(locale: str) -> Phrases:
    return ZH if locale.lower().startswith("zh") else EN
