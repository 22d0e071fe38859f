"""The `quorate` command.

`main` parses arguments and turns every outcome into an exit code and at most one line on stderr.
Commands are in `cli/commands`, one file per noun, imported only when asked for, so that
`quorate --help` does not pay for a Kafka client. `cli/dev` is the process manager behind
`quorate dev`: it runs brokers as processes of their own, exactly as an operator would.
`cli/dumping` reads a broker's files, `cli/bundling` collects what a report of a problem needs.

Rules:

* A command talks to a cluster as any client does, through confluent-kafka (`cli.clients`). What it
  can do, somebody else's tool can do too. What belongs to one broker, or what that library cannot
  ask, is asked in the same protocol without it (`cli.connection`): `cluster status`, `cluster
  quorum`, `log dirs` and `debug bundle`. The library hides brokers that do not answer behind those
  that do.
* Results go to stdout, everything else to stderr. Every command takes `--output table|json`; the
  JSON is a promise to scripts, the table is for people and may change.
* Every wait is bounded by `--timeout`; an error names the address or the setting and what to do.
* Exit codes are those of `cli.exits.ExitCode`, in one place.

Start reading at `cli/main.py`.
"""
