"""The memory that survives: one schema and one set of SQL statements.

Synchronous SQLAlchemy Core on one thread. Every call of the loops becomes a job;
jobs that arrive together share one transaction (``group``). Nothing outside this
package knows SQL, and nothing in it decides anything.
"""
