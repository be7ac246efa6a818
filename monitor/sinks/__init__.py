"""Where messages go: the contract of ``ports.Sink`` in prose.

A sink delivers one message at a time and tries once. It returns when the other
side has taken the message and otherwise raises ``errors.Undelivered`` (try again)
or ``errors.Rejected`` (never again), with no secret in the text. It may be handed
the same message again, with the same id. It reads nothing but the message, gives
up by itself, and is opened and closed by a context manager. Retrying, filtering
and ordering belong to the dispatcher.
"""
