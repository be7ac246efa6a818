"""BlueKing JOB as a source: envelope, decoders and the carrier of bytes.

``ask``, ``envelope``, ``verdict``, ``digest`` and the dialects ``v2``, ``v3`` and
``v4`` know the API and no sockets; ``carrier`` knows sockets and no API;
``source`` introduces them to one another.
"""
