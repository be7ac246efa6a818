from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.redaction import HIDDEN, MOST, redacted

laws = settings(max_examples=200, deadline=None)

SECRET = "Xq7/vN+2kPz"


def test_what_says_why_it_failed_is_left_as_it_is() -> None:
    log = (
        "+ tar xf /data/pkg.tgz\n\ttar: /data: No space left on device\n"
        "12 tests passed: 11, failed: 1; 3 tokens used\n"
        "ssh: connect to host 10.0.0.1 port 22: Connection refused\n"
        "see https://docs.example.com/errors?page=3#x or ops@example.com\n"
        "磁盘已满"
    )

    assert redacted(log) == log


@pytest.mark.parametrize(
    "log",
    [
        "password=%s",
        "PASSWORD: %s",
        "DB_PASSWORD_PROD=%s",
        "db.passwd = '%s'",
        "passphrase=>%s",
        "mysql_pwd:=%s",
        '{"secret": "%s"}',
        '{"cmd": "{\\"token\\": \\"%s\\"}"}',
        "$config['apiKey'] = '%s';",
        "<password>%s</password>",
        "aws_secret_access_key = %s",
        "AccountKey=%s;EndpointSuffix=core",
        "?access_token=%s&user=me",
        "bk_app_secret=%s",
        "bk_ticket: %s",
        "curl -H 'Authorization: Bearer %s'",
        "Authorization: Basic %s",
        "Proxy-Authorization: Digest user=x, response=%s",
        '"authorization":"%s"',
        "Cookie: a=b; session=%s",
        "Set-Cookie: sid=%s; HttpOnly",
        "got Bearer %s from the server",
        "mysql --password %s -u root",
        "x --api-key '%s'",
        "x -token %s",
        "x --password --token %s",
        "password= token: %s",
        "password=\ntoken: %s",
        "token: Bearer %s",
        "Bearer password= %s",
        "sshpass -p %s ssh host",
        "sshpass -p%s ssh host",
        "mysql -uroot -p%s -h db1 shop",
        "mysqldump --quick -u root -p'%s' shop",
        "redis-cli -h 10.0.0.1 -a %s ping",
        "curl -u me:%s https://x",
        "curl --user 'me:%s' https://x",
        "CREATE USER x IDENTIFIED BY '%s'",
        "pass\x1b[1mword=%s",
        "password=\x1b[31m%s\x1b[0m",
        "-----BEGIN RSA PRIVATE KEY-----\nMII\n%s\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nMII\n%s\n",
        "MII\n%s\n-----END PRIVATE KEY-----",
    ],
)
def test_a_secret_with_a_name_or_a_place_is_hidden(log: str) -> None:
    shown = redacted(f"before\n{log % SECRET}\nafter")

    assert SECRET not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "url",
    [
        "https://me:%s@example.com/x",
        "git+ssh://%s@example.com",
        "postgresql://me:p@ss%s@db:5432/x",
    ],
)
def test_what_a_url_says_before_its_host_is_hidden(url: str) -> None:
    password = SECRET.replace("/", "")
    shown = redacted(f"cloning {url % password}")

    assert password not in shown
    assert f"://{HIDDEN}@" in shown


@pytest.mark.parametrize(
    "key",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "LTAI5tFakeFakeFakeFake12",
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2_" * 9,
        "glpat-" + "a1B2" * 5,
        "xoxb-1234567890-abcdef",
        "sk_live_" + "a1B2" * 6,
        "sk-proj-" + "a1B2" * 9,
        "AIza" + "a1B2_" * 7,
        "whsec_" + "a1B2" * 8,
        "eyJhbGciOi.eyJzdWIiOiIx.c2ln",
    ],
)
def test_a_key_is_known_by_its_shape(key: str) -> None:
    assert redacted(f"using {key}, bye") == f"using {HIDDEN}, bye"


def test_secrets_of_our_own_are_hidden_wherever_they_stand() -> None:
    known = ["hunter2", "hunter2000", "abc"]

    assert redacted("abc says hunter2000 and hunter2", known=known) == (
        f"abc says {HIDDEN} and {HIDDEN}"
    )


def test_a_secret_in_quotes_ends_with_the_quote() -> None:
    log = """{"password": "with \\"quotes\\" and blanks", "user": "me"}"""

    assert redacted(log) == f'{{"password": "{HIDDEN}", "user": "me"}}'


def test_of_a_log_that_was_cut_the_first_half_word_is_left_out() -> None:
    cut = f"{SECRET} " + "x" * (MOST - len(SECRET) - 1)

    assert redacted(cut) == "x" * (MOST - len(SECRET) - 1)
    assert redacted("y" * MOST) == ""
    assert redacted("y" * 10_000 + " end") == "end"


def test_what_a_terminal_would_obey_is_left_out() -> None:
    log = "\x1b[31mred\x1b[0m\x07 \x1b]0;title\x07done\r\n50%\r100%\x00"

    assert redacted(log) == "red done\n50%\n100%"


def test_halves_of_characters_do_no_harm() -> None:
    assert redacted("a \ud800 b") == "a ? b"


WORDS = (
    *("password", "=", ":", '"', "'", "\\", " ", "\n", "token", "--", "://", "@", "a"),
    *("Bearer", "磁", "eyJ", ".", "-----BEGIN PRIVATE KEY-----", "\x1b[", "<", ">"),
)


def noise() -> st.SearchStrategy[str]:
    words = st.sampled_from(WORDS) | st.text(max_size=8)
    return st.lists(words, max_size=60).map("".join)


@laws
@given(noise(), st.integers(0, 5000))
def test_no_more_is_left_than_fits(log: str, most: int) -> None:
    assert len(redacted(log * 20, most).encode()) <= most


@laws
@given(noise())
def test_what_is_redacted_already_stays_hidden(log: str) -> None:
    once = redacted(f"{log}\ntoken: {SECRET}\n")

    assert SECRET not in redacted(once)


@laws
@given(noise())
def test_whatever_stands_around_it_a_named_secret_is_hidden(log: str) -> None:
    for shown in (
        f"{log}\nDB_PASSWORD={SECRET}\n{log}",
        f"{log} DB_PASSWORD={SECRET} {log}",
        f"{log} Authorization: Bearer {SECRET} {log}",
    ):
        assert SECRET not in redacted(shown)


HOSTILE = (
    *("a", "-", "_", " ", "\\", '"', "=", "://", "eyJ", "-eyJ", "sk-", "-sk-a", "-a"),
    *("password", "--pass", "pass=", "token ", "authorization:", "basic ", "-u a:"),
    *("session-id-", "access_", 'password:\\"', "secret\\\\\\", "--a-a-", "\x1b["),
    *("\x1b]", "-----BEGIN PRIVATE KEY-----", "-----END ", "identified by "),
)


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("first", ["", "password=", 'secret: "', "x://", "eyJaaaaa."])
def test_no_text_takes_long(first: str, piece: str) -> None:
    log = (first + piece * MOST)[: MOST - 8]
    started = perf_counter()
    redacted(log)

    # A pattern that backtracks takes seconds or more; a busy machine does not.
    assert perf_counter() - started < 0.5
