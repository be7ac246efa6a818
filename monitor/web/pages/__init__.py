"""The dashboard: pages rendered here, live by the stream, plain modules in the browser.

A module for each page gathers what it shows; how that looks is in ``templates``.
"""
