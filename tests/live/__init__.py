"""Real broker processes, real clients, real signals. Every test here is marked `live`.

`cluster.Cluster` runs `quorate dev` in a temporary directory on free ports and can kill, pause and
start its brokers. It signals only processes that it started or that its own `quorate dev` started.
"""
