"""The lab: real FRR on one machine, in a small VM or straight in namespaces.

`python -m tests.lab --help` starts it. `README.md` beside this file says how to write a scenario.
"""
