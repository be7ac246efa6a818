"""Secrets blotted out of log text, as far as they can be told by how they look.

Rather too much than too little is hidden. What this cannot know: a secret that
stands alone, without a name, a place or a shape that gives it away. Every pattern
takes time that grows with the text alone, whatever the text is.
"""

import re
from collections.abc import Iterable
from typing import Final

MOST: Final = 4096
"""Bytes of UTF-8 that are left of a log, at most."""

HIDDEN: Final = "***"

# With up to 32 more letters: ``DB_PASSWORD_PROD``.
_NAME: Final = (
    r"(?:passw(?:or)?d|passphrase|passcode|pass(?![a-z])|pwd|secret|token"
    r"|credentials?|signature|api[_-]?key|session[_-]?id|sessid|bk_ticket"
    r"|(?:access|secret|private|account|master|encryption|signing)[_-]?key"
    r")[\w.-]{0,32}+"
)
_SCHEME: Final = r"(?:bearer|basic|digest|negotiate)"
_SPACE: Final = r"[ \t]{1,8}+"
_BLANK: Final = r"[ \t]{0,8}+"
_AFTER: Final = rf"\\{{0,3}}+[\"']?\]?{_BLANK}(?:[:=]>?|:=){_BLANK}"
# To the closing quote, which may be escaped itself (JSON within JSON), or the line.
# Without quotes one word, and on over words that can but lead to the secret.
_VALUE: Final = (
    r"(?:(?P<quote>\\{0,3}+[\"'])(?:(?!(?P=quote))(?:\\[^\r\n]|[^\r\n]))*+"
    rf"|(?=\S)(?:(?:{_SCHEME}(?=\s)|-\S++|\S++(?<=[:=])){_SPACE})*+\S*+)"
)

_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # The whole header, up to what may quote it on a command line.
        rf"((?:authorization|cookie)\"?'?{_BLANK}[:=]{_BLANK}[\"']?)[^\r\n\"']++",
        # Up to the last @: a password may hold one.
        r"(://)[^\s/?#]{1,512}(?=@)",
        rf"({_NAME}{_AFTER}){_VALUE}",
        rf"((?<![\w-])--?[\w-]{{0,32}}?{_NAME}{_SPACE}){_VALUE}",
        rf"(\b{_SCHEME}{_SPACE})[\w.~+/=-]{{6,}}+",
        rf"(<{_NAME}>)[^<\r\n]++",
        rf"(\bidentified{_SPACE}by{_SPACE}){_VALUE}",
        rf"(\bsshpass{_SPACE}-p(?:{_SPACE})?){_VALUE}",
        # A blank after -p means that it is asked for, and then comes the database.
        rf"(\b(?:mysql|mariadb)\w{{0,16}}+[^\r\n]{{0,200}}?\s-p)(?=\S){_VALUE}",
        rf"(\bredis-cli\b[^\r\n]{{0,200}}?\s-a{_SPACE}){_VALUE}",
        rf"((?<![\w-])(?:-u|--user)(?:{_SPACE})?[\"']?[^\s:\"']{{1,64}}+:){_VALUE}",
    )
)

_SHAPES: Final = re.compile(
    r"\b(?:"
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{16}"  # AWS
    r"|LTAI[0-9A-Za-z]{12,30}"  # Alibaba Cloud
    r"|AKID[0-9A-Za-z]{13,40}"  # Tencent Cloud
    r"|gh[pousr]_[0-9A-Za-z]{20,255}"  # GitHub
    r"|github_pat_\w{20,255}"
    r"|glpat-[\w-]{16,255}"  # GitLab
    r"|npm_[0-9A-Za-z]{30,255}"
    r"|pypi-[\w-]{16,255}"
    r"|xox[abeoprs]-[\w-]{10,255}"  # Slack
    r"|[rs]k_(?:live|test)_[0-9A-Za-z]{16,255}"  # Stripe
    r"|sk-[\w-]{20,255}"
    r"|AIza[\w-]{35}"  # Google
    r"|whsec_[\w+/=-]{16,255}"  # Standard Webhooks
    r"|hvs\.[\w-]{20,255}"  # Vault
    r"|(?<!-)eyJ[\w-]{4,}+(?:\.[\w-]*+){1,4}+"  # JWT
    r")"
)

_KEY_BLOCK: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----"
    r".*?(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
# The beginning was cut off: what looks like its lines goes as well.
_KEY_END: Final = re.compile(r"\A.*-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----", re.DOTALL)

_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]?|[\]P^_][^\x07\x1b]*+\x07?)"
)
_UNPRINTABLE: Final = {
    **dict.fromkeys([*range(32), *range(127, 160)]),
    ord("\r"): "\n",
    ord("\n"): "\n",
    ord("\t"): "\t",
}


def redacted(text: str, most: int = MOST, known: Iterable[str] = ()) -> str:
    """Give the end of *text* that fits into *most* bytes, without its secrets.

    *known* are secrets of our own, which need not look like any. What may be cut off at its beginning is left out up to the first blank: of half
    a secret nobody sees that it is one. Terminal escapes go first, for they could
    stand inside a name.
    """
    plain = _ESCAPES.sub("", _uncut(text.replace("\r\n", "\n"), most))
    plain = plain.translate(_UNPRINTABLE)
    for secret in sorted(known, key=len, reverse=True):
        # Anything shorter would blot out innocent text.
        plain = plain.replace(secret, HIDDEN) if len(secret) >= 4 else plain
    plain = _KEY_END.sub(HIDDEN, _KEY_BLOCK.sub(HIDDEN, plain))
    for pattern in _PATTERNS:
        plain = pattern.sub(_kept, plain)
    return _end(_SHAPES.sub(HIDDEN, plain), most).strip("\n")


def _kept(match: re.Match[str]) -> str:
    quote = match.groupdict().get("quote") or ""
    return f"{match[1]}{quote}{HIDDEN}"


def _uncut(text: str, most: int) -> str:
    encoded = text.encode(errors="replace")
    # A character of up to four bytes may have been cut as well.
    if len(encoded) < most - 3:
        return encoded.decode()
    end = _end(text, most)
    blank = re.search(r"\s", end)
    return end[blank.end() :] if blank else ""


def _end(text: str, most: int) -> str:
    encoded = text.encode(errors="replace")
    return encoded[-most:].decode(errors="ignore") if most > 0 else ""
