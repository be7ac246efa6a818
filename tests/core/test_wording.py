import pytest
from msgspec import structs

from monitor.core import wording
from monitor.core.alerts import Alert, Name
from monitor.core.model import host_id
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from monitor.core.wording import Frame
from tests.core.builders import FRAME, KEY, NOW, STEPS, job


def test_a_key_alone_tells_source_scope_and_instance() -> None:
    assert wording.frame_of("prod") == Frame(source="prod", key="prod")
    assert wording.frame_of("prod/biz/2") == Frame(
        source="prod", key="prod/biz/2", subject="biz/2"
    )
    assert wording.frame_of(str(KEY)) == Frame(
        source="prod", key=str(KEY), subject=KEY.subject, instance=KEY
    )


def test_hosts_are_listed_by_cloud_area_and_address_as_numbers() -> None:
    listed = [
        host_id("10.0.0.10", 0),
        host_id("10.0.0.9", 0),
        host_id("::1", 0),
        host_id("10.0.0.1", 3),
        host_id("not an address", 0),
        host_id(None, 0),
    ]

    assert [
        (host.bk_cloud_id, host.ip)
        for host in wording.host_list(dict.fromkeys(listed, 9), {}, "en")
    ] == [
        (0, None),
        (0, "not an address"),
        (0, "10.0.0.9"),
        (0, "10.0.0.10"),
        (0, "::1"),
        (3, "10.0.0.1"),
    ]


ATTEMPT = Attempt(STEPS[0], 2, "push")


def test_a_link_leads_to_the_instance_or_to_the_step_and_attempt() -> None:
    quick, planned = job(4), structs.replace(job(4), plan_id=1001)
    root = "https://job.example.com"

    assert [
        wording.link(FRAME, quick, None),
        wording.link(FRAME, quick, ATTEMPT),
        wording.link(FRAME, planned, ATTEMPT),
        wording.link(FRAME, None, ATTEMPT),
    ] == [
        f"{root}/api_execute/20000153",
        f"{root}/api_execute/20000153?stepInstanceId=7001&retryCount=2",
        f"{root}/api_execute_step/20000153/7001?retryCount=2",
        f"{root}/api_execute/20000153?stepInstanceId=7001&retryCount=2",
    ]


def test_without_a_web_url_or_an_instance_there_is_no_link() -> None:
    assert wording.link(structs.replace(FRAME, web_url=None), job(4), None) is None
    assert wording.link(structs.replace(FRAME, instance=None), job(4), None) is None


@pytest.mark.parametrize(
    ("alert", "summary"),
    [
        (
            Alert(
                name=Name.HOSTS_FAILED,
                severity=Severity.CRITICAL,
                since=NOW,
                attempt=ATTEMPT,
                failed=2,
                total=9,
            ),
            "2 of 9 hosts failed in step 'push'",
        ),
        (
            Alert(
                name=Name.JOB_FAILED, severity=Severity.WARNING, since=NOW, status=11
            ),
            "job ended: force-stopped",
        ),
        (
            Alert(name=Name.JOB_GONE, severity=Severity.WARNING, since=NOW),
            "JOB no longer knows this instance",
        ),
        (
            Alert(
                name=Name.JOB_REFUSED,
                severity=Severity.CRITICAL,
                since=NOW,
                reason="no view_history",
            ),
            "JOB does not let us look: no view_history",
        ),
        (
            Alert(
                name=Name.SOURCE_LOST,
                severity=Severity.CRITICAL,
                since=NOW,
                reason="auth",
            ),
            "JOB cannot be seen (auth); nothing is known of its jobs",
        ),
    ],
)
def test_each_alert_is_summed_up_in_a_few_words(alert: Alert, summary: str) -> None:
    assert wording.summary(alert, "en") == summary
