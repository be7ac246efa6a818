"""Configuration: one YAML file and ``MONITOR_…``, read once into frozen values.

``loading.load`` is the way in, ``model.Settings`` what comes out. Only the service
and the command line may import this package; everybody else is handed plain
values. Nothing here reads the environment by itself, and no fault shows a secret.
"""
