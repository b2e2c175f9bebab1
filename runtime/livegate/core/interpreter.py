"""How a module of LiveGate is started in a process of its own.

`python -m` looks for modules in the folder that it is called from before any other. Whoever can write
there, on a stick or in a folder for everybody, would have code of his own run by whoever calls livegate,
often root. So that folder leaves the path before anything is imported; and where this interpreter is
isolated (-I, as in an installed bundle), the other one is, too. Python has -P for it from 3.11 on only.
"""

from __future__ import annotations

import sys

START = (
    "import sys; sys.path[:] = filter(None, sys.path); import runpy; "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def module_command(module: str) -> tuple[str, ...]:
    """What starts a module with this interpreter; its arguments follow."""
    isolated = ("-I",) if sys.flags.isolated else ()
    return (sys.executable, *isolated, "-c", START, module)
