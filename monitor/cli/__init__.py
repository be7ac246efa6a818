"""What a person types: one file per verb, and ``main``, which knows them all.

Only here and in ``service`` are settings read. Data goes to stdout, talk to stderr.
"""
