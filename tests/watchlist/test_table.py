import pytest

from monitor.core.watch import Options, Severity
from tests.watchlist.reading import faults, keys, only, parsed

HEADER = "bk_biz_id,job_instance_id,team,severity\n"


def test_a_row_is_a_watch_and_other_columns_are_labels() -> None:
    watch = only(
        parsed("list.csv", HEADER + '2,20000153,"site ""reliability"", cn",critical\n')
    )

    assert str(watch.key) == "prod/biz/2/20000153"
    assert watch.labels == {"team": 'site "reliability", cn'}
    assert watch.options == Options(severity=Severity.CRITICAL)
    assert str(watch.place) == "list.csv:2"


def test_an_empty_cell_is_no_label() -> None:
    found = parsed("list.csv", HEADER + "2,1,,\n2,2\n2,3,,,,\n")

    assert faults(found) == []
    assert [watch.labels for watch in found.watches] == [{}, {}, {}]


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("job_instance_id,bk_biz_id\n1,2", "prod/biz/2/1"),
        ("bk_scope_type,bk_scope_id,job_instance_id\nbiz_set,9,1", "prod/biz_set/9/1"),
        ("bk_scope_id,job_instance_id\n9,1", "prod/biz/9/1"),
        ("bk_biz_id,bk_scope_id,job_instance_id\n2,,1", "prod/biz/2/1"),
        ("bk_biz_id,bk_scope_id,job_instance_id\n2,9,1", "prod/biz/9/1"),
        ("source,bk_biz_id,job_instance_id\nstag,2,1", "stag/biz/2/1"),
        ("\n bk_biz_id , job_instance_id \n 2 , 1 \n", "prod/biz/2/1"),
    ],
)
def test_the_header_says_where_the_ids_stand(table: str, key: str) -> None:
    assert keys(parsed("list.csv", table)) == [key]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("2", "2: job_instance_id is missing"),
        (",1", "2: bk_biz_id is missing (or bk_scope_type and bk_scope_id)"),
        ("2,x", "2: job id 'x' is not a positive whole number"),
        ("2,1,a,bad", "2:7: severity 'bad' is neither warning nor critical"),
        (
            '2,1,"a, b",bad',
            "2:12: severity 'bad' is neither warning nor critical",
        ),
        ("2,1,a,,b", "2:8: more than the 4 cells of the header"),
        ('2,1,"a', "2: is no row of CSV: unexpected end of data"),
        ('2,1,"a"b', "2: is no row of CSV: ',' expected after '\"'"),
    ],
)
def test_a_bad_row_costs_only_itself(row: str, fault: str) -> None:
    found = parsed("list.csv", HEADER + row + "\n2,7\n")

    assert faults(found) == [f"list.csv:{fault}"]
    assert keys(found) == ["prod/biz/2/7"]


def test_a_column_that_cannot_be_a_label_is_left_out_aloud() -> None:
    found = parsed(
        "list.csv", "bk_biz_id,job_instance_id,type,team,team,a b,\n2,1,x,a,b,c,d"
    )

    assert faults(found) == [
        "list.csv:1:27: 'type' is reserved: no label can have this name",
        "list.csv:1:37: column 'team' is there twice; this one is not read",
        (
            "list.csv:1:42: 'a b' is no label name: write letters, digits and _,"
            " at most 128, no digit first"
        ),
    ]
    assert [watch.labels for watch in found.watches] == [{"team": "a"}]


@pytest.mark.parametrize("header", ["2,20000153", "job_instance_id,team", "bk_biz_id"])
def test_a_table_without_a_header_is_illegible(header: str) -> None:
    found = parsed("list.csv", header + "\n2,1\n")

    assert faults(found)[-1] == (
        "list.csv:1: no header: the first line must name job_instance_id and bk_biz_id"
        " (or bk_scope_type and bk_scope_id)"
    )
    assert keys(found) == []
    assert not found.legible


def test_an_empty_table_is_no_fault() -> None:
    assert faults(parsed("list.csv", "\n")) == []
