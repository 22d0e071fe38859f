"""What broke other engines, the tests that show it does not break this one, and their worth.

`table` lists every scenario of `docs/scenarios.md`: what went wrong and where, the tests by
name, and for each the mutant that takes the fix out of our code. `test_scenarios` runs each
test against its mutant and wants it to fail, so that no test of the list can be one that never
does. The mistakes that the simulation must find as well are its own mutants
(`tests.raftlog.sim.mutants`); the modules here hold the others, which take one careful schedule
to show: `replication`, `voting`, `members`, `hosts`.

    python -m tests.scenarios    writes docs/scenarios.md
"""

from __future__ import annotations
