"""What may be asked of a daemon, a module for each resource under ``/api/v1``.

Each gives its routes and says by a Protocol what it needs of the rest; shapes stand
in ``web.shapes``.
"""

from typing import Final

ROOT: Final = "/api/v1"
