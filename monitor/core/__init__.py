"""The rules of the house, as functions.

No I/O, no clock, no luck, no log, no ``await``: time enters as *now*, randomness
as *luck* in [0, 1), configuration as a frozen value. Only the standard library
and msgspec may be imported here; import-linter holds that.
"""
