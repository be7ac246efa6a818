"""What the status codes of JOB mean: the only place that knows.

Sources: bk-job ``RunStatusEnum`` (jobs and steps) and
``ExecuteObjectTaskStatusEnum`` (hosts), read 2026-11; code 12 of jobs and steps
is documented for JOB 2.x only. A code that is in neither table is kept as it is
and shown raw.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class Meaning(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NEEDS_PERSON = "needs a person"
    UNKNOWN = "unknown"


class Code(Struct, frozen=True):
    number: int
    en: str
    zh: str
    meaning: Meaning
    finished: bool

    def name(self, locale: str) -> str:
        return self.zh if locale.lower().startswith("zh") else self.en


W, R, S, F, P, U = Meaning


def _table(*codes: Code) -> dict[int, Code]:
    return {code.number: code for code in codes}


RUNS: Final = _table(
    Code(1, "waiting", "等待执行", W, finished=False),
    Code(2, "running", "正在执行", R, finished=False),
    Code(3, "succeeded", "执行成功", S, finished=True),
    Code(4, "failed", "执行失败", F, finished=True),
    # 5 and 6 let the job walk on; hosts may have failed inside all the same.
    Code(5, "skipped", "跳过", S, finished=True),
    Code(6, "error ignored", "忽略错误", S, finished=True),
    Code(7, "waiting for a person", "等待用户", P, finished=False),
    Code(8, "ended by hand", "手动结束", F, finished=True),
    Code(9, "abnormal", "状态异常", F, finished=True),
    Code(10, "stopping", "强制终止中", R, finished=False),
    Code(11, "force-stopped", "强制终止成功", F, finished=True),
    Code(12, "force-stop failed", "强制终止失败", F, finished=True),
    Code(13, "confirmation refused", "确认终止", F, finished=True),
    Code(14, "abandoned", "被丢弃", F, finished=True),
    Code(15, "between rolling batches", "滚动等待", W, finished=False),
)
"""Jobs and steps share one table."""

IGNORED: Final = 6
STOPPING: Final = 10

HOSTS: Final = _table(
    Code(0, "unknown error", "未知错误", F, finished=True),
    Code(1, "agent abnormal", "Agent异常", F, finished=True),
    Code(2, "invalid target", "无效主机", F, finished=True),
    Code(3, "succeeded earlier", "上次已成功", S, finished=True),
    Code(5, "waiting", "等待执行", W, finished=False),
    Code(7, "running", "正在执行", R, finished=False),
    Code(9, "succeeded", "执行成功", S, finished=True),
    Code(11, "failed", "执行失败", F, finished=True),
    Code(12, "dispatch failed", "任务下发失败", F, finished=True),
    Code(13, "timed out", "任务超时", F, finished=True),
    Code(15, "log error", "任务日志错误", F, finished=True),
    Code(16, "script timed out", "GSE脚本日志超时", F, finished=True),
    Code(17, "file transfer timed out", "GSE文件日志超时", F, finished=True),
    Code(18, "agent not installed", "Agent未安装", F, finished=True),
    Code(101, "script failed", "脚本执行失败", F, finished=True),
    Code(102, "script timed out", "脚本执行超时", F, finished=True),
    Code(103, "script terminated", "脚本执行被终止", F, finished=True),
    Code(104, "non-zero exit code", "脚本返回码非零", F, finished=True),
    Code(202, "file transfer failed", "文件传输失败", F, finished=True),
    Code(203, "source file missing", "源文件不存在", F, finished=True),
    Code(301, "file system error", "文件任务系统错误-未分类", F, finished=True),
    Code(303, "file task timed out", "文件任务超时", F, finished=True),
    Code(310, "agent abnormal", "Agent异常", F, finished=True),
    Code(311, "no such user", "用户名不存在", F, finished=True),
    Code(312, "wrong password", "用户密码错误", F, finished=True),
    Code(320, "file fetch failed", "文件获取失败", F, finished=True),
    Code(321, "file too large", "文件超出限制", F, finished=True),
    Code(329, "file transfer error", "文件传输错误", F, finished=True),
    Code(399, "task error", "任务执行出错", F, finished=True),
    Code(403, "force-stopped", "任务强制终止成功", F, finished=True),
    Code(404, "force-stop failed", "任务强制终止失败", F, finished=True),
    Code(500, "skipped while unfinished", "未知状态", F, finished=True),
)

FORCE_STOPPED: Final = frozenset({403, 404, 500})
"""How hosts end when a person stops the job: nothing is wrong with them."""


def run(number: int) -> Code:
    """Tell what a job or step status means; an unknown one is not finished."""
    return RUNS.get(number) or _unknown(number, Meaning.UNKNOWN, finished=False)


def needs_person(number: int) -> bool:
    return run(number).meaning is Meaning.NEEDS_PERSON


def host(number: int) -> Code:
    """Tell what a host status means; an unknown one counts as failed.

    The server's own rule: finished is what is not in {5, 7}, success is {9, 3},
    everything else is a failure. Source: bk-job ExecuteObjectTaskStatusEnum.
    """
    return HOSTS.get(number) or _unknown(number, Meaning.FAILED, finished=True)


def _unknown(number: int, meaning: Meaning, *, finished: bool) -> Code:
    return Code(number, f"unknown ({number})", f"未知 ({number})", meaning, finished)


HOSTS_FAILED: Final = frozenset(n for n, c in HOSTS.items() if c.meaning is F)
HOSTS_UNFINISHED: Final = frozenset(n for n, c in HOSTS.items() if not c.finished)
HOSTS_SUCCEEDED: Final = frozenset(n for n, c in HOSTS.items() if c.meaning is S)


def host_failed(number: int) -> bool:
    return number in HOSTS_FAILED or number not in HOSTS


_BADNESS: Final = {
    Meaning.SUCCEEDED: 0,
    Meaning.WAITING: 1,
    Meaning.RUNNING: 2,
    Meaning.FAILED: 3,
}


def worst(one: int, other: int) -> int:
    """Choose for a host that appears twice: failed, running, waiting, succeeded."""
    return max(one, other, key=lambda number: (_BADNESS[host(number).meaning], number))
