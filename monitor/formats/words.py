"""What presets say in the languages of ``locale``."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct


class Words(Struct, frozen=True, kw_only=True):
    critical: str
    warning: str
    resolved: str
    reminder: str
    storm: str
    job: str
    step: str
    exit_code: str
    over: str
    open: str
    log_cut: str
    more_hosts: str
    more_kinds: str
    more_alerts: str
    alerts: Mapping[str, str]

    def alert(self, name: str) -> str:
        return self.alerts.get(name) or name.replace("_", " ")


_EN: Final = Words(
    critical="CRITICAL",
    warning="WARNING",
    resolved="RECOVERED",
    reminder="reminder",
    storm="much at once",
    job="Job",
    step="Step",
    exit_code="exit",
    over="Over",
    open="Open in JOB",
    log_cut="… the log is longer",
    more_hosts="and {count} more",
    more_kinds="… and {count} hosts that failed in other ways",
    more_alerts="… and {count} more alerts",
    alerts={
        "hosts_failed": "Hosts failed",
        "hosts_unfinished": "Hosts did not finish",
        "job_failed": "Job failed",
        "job_waiting": "Job waits for a person",
        "job_overdue": "Job is overdue",
        "job_stalled": "Job is stalled",
        "job_gone": "Job is gone",
        "job_refused": "JOB refuses to show",
        "source_lost": "JOB cannot be seen",
    },
)

_ZH: Final = Words(
    critical="严重",
    warning="警告",
    resolved="已恢复",
    reminder="再次提醒",
    storm="大量告警同时发生",
    job="作业",
    step="步骤",
    exit_code="退出码",
    over="已结束",
    open="在作业平台查看",
    log_cut="… 日志已截断",
    more_hosts="等，另有 {count} 台",
    more_kinds="… 另有 {count} 台主机因其他原因失败",
    more_alerts="… 另有 {count} 条告警",
    alerts={
        "hosts_failed": "主机执行失败",
        "hosts_unfinished": "主机未执行完",
        "job_failed": "作业失败",
        "job_waiting": "作业等待人工处理",
        "job_overdue": "作业超时未完成",
        "job_stalled": "作业停滞",
        "job_gone": "作业已不存在",
        "job_refused": "无权查看作业",
        "source_lost": "无法访问作业平台",
    },
)


def of(locale: str) -> Words:
    return _ZH if locale.lower().startswith("zh") else _EN
