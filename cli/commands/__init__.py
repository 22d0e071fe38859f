"""One module per noun of the command line; `cli.main.COMMANDS` says which names which.

A module holds a click command or group, whose help text ends with an example, and the little code
between arguments and result. Heavy imports (confluent-kafka, trio, the broker) are made inside the
functions, so that asking for help stays quick. What several commands need is one floor up: options
in `cli.context`, connections in `cli.clients`, results in `cli.output`, failures in `cli.exits`.
"""
