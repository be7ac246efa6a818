"""The body of a callback: which instance it is about. Pure.

Nothing else in it is looked at: it is not signed, so its status proves nothing.
"""

from collections.abc import Iterator
from typing import Annotated, Final
from urllib.parse import parse_qsl

import msgspec

_MOST_FIELDS: Final = 100


class _Report(msgspec.Struct):
    # Beside it are status and the steps: step_instances in what JOB sends, but
    # step_instance_list in its documents. Both are passed over.
    # Source: bk-job JobCallbackDTO.java and callback_protocol.md, read 2026-11.
    job_instance_id: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]


# Not strict: numbers may be strings.
_DECODER: Final = msgspec.json.Decoder(_Report, strict=False)


def job_instance_id(body: bytes) -> int:
    """Read it from JSON, whatever the type of the content is said to be.

    JOB sends its second try, and before 3.11 every try, as a form: the type says
    so, but the body is the JSON text all the same. A form with a field that holds
    the text is understood too.
    Source: bk-job CallbackListener.java, HttpConPoolUtil.java, read 2026-11.

    Raises ValueError, which says what would be right.
    """
    for text in _texts(body):
        try:
            return _DECODER.decode(text).job_instance_id
        # RecursionError: nested so deeply that it is no report.
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    raise ValueError(
        "no JSON object with a job_instance_id, neither bare nor in a form"
    )


def _texts(body: bytes) -> Iterator[bytes]:
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    if body.startswith(b"{"):
        yield body
        return
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        return
    for field in fields:
        # A text that was encoded as a whole is a name without a value.
        yield from (text.encode() for text in field if text.lstrip().startswith("{"))
