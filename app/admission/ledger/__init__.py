"""The ledger: changes that were admitted and are not made or not seen yet, known to every replica.

A review judges by watched state; what watches cannot show stands in one ConfigMap that is written before
anything that could do harm is admitted. Its writes have a total order, so of two changes that are harmless
only alone the second always sees the first. Nothing in this package performs I/O or reads a clock: transport,
time and state come through the Protocols of ``ports.py``.

::

    values      what is watched, and a change
    entries     one change under way, as one key of the ConfigMap
    marks       how far a replica's watches must have come, as keys of the ConfigMap
    contents    all of the ConfigMap
    worst_case  entries and a change, as states for a judge
    harmless    changes that need no ledger
    engine      the judge over ``app.engine``
    writing     one write for all reviews that wait for one
    protocol    one review: its three ways
    settling    when an entry goes
"""
