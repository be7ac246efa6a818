"""A look-alike of BlueKing JOB, to run against and to test against.

An independent reading of the facts: nothing of ``monitor`` outside this package
is imported here, so that a mistake of the client is not repeated by the world it
is tried on. ``timeline`` is the world of JOB whatever the generation of its API.
``esb`` and ``gateway`` are the doors to it; behind them ``endpoints`` names all
that can be asked, and ``v2``, ``v3`` and ``v4`` put it into words. Progress follows
the clock of the event loop and nothing here asks for the date.
"""
