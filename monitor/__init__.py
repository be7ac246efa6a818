"""Job Monitor watches BlueKing JOB instances and tells people which IPs failed."""
