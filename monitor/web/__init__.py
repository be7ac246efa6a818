"""What others reach over HTTP: JOB's callback, metrics, health.

Nothing here decides what is true of an instance: a callback only moves a visit.
An adapter: loops and other adapters are handed in as plain functions.
"""
