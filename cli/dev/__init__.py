"""The process manager behind `quorate dev`: a whole cluster on one machine, for one command.

It does by itself what an operator does by hand on several machines: choose ports and directory ids
(`plan`, `ports`), format the directories, write one configuration file per broker, start every
broker as a process of its own (`supervisor`), wait until the cluster really serves (`probe`), and
tell others where it is (`ready`). Brokers that die are started again within limits (`restarts`).
What a run that was killed leaves in the temporary directory, the next one removes (`temporary`).

Rules: brokers get no special treatment, they run `quorate broker start` with a file that one could
write oneself; readiness is what a client sees, not what a process says about itself; no process
outlives this one (each broker stops when its standard input, a pipe held here, closes); processes
are signalled by pid only.

trio is allowed here; `plan`, `ports`, `restarts` and `ready` do without.
"""
