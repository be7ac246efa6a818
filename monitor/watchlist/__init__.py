"""The watch list: files in which people and pipelines write what to observe.

Parsing is pure (``formats`` and what it reads with); only ``files`` and
``patterns`` touch the disk. Nothing here knows JOB, the scheduler or the store.
"""
