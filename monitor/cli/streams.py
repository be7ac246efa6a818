"""Standard streams, for a process that was started without some of them.

What is opened next would get their descriptors, and libuv aborts when it closes
one below 3. Source: libuv src/unix/core.c, uv__close, read 2026-11.
"""

import os
import sys
from typing import Final

_LAST: Final = 2


def fill() -> None:
    """Let every standard stream that is missing lead nowhere; call it first."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
