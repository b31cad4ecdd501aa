"""Chaos: seeded sequences of faults on one PE, under traffic and route churn.

    make chaos SEED=3 STEPS=20 DATAPATH=kernel
    python -m tests.lab shell -c 'python -m tests.lab.chaos --plan "kill:bgpd+hand:routes"'

After each step every packet lost is held against what DESIGN section 9 allows for its faults, and
all views have to agree again within a minute.
"""
