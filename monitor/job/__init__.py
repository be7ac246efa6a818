"""BlueKing JOB as a source: envelope, decoders and the carrier of bytes.

``envelope``, ``verdict``, ``v2`` and ``digest`` know the API and no sockets;
``carrier`` knows sockets and no API; ``source`` introduces them to one another.
"""
