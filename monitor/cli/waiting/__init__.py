"""Everything of ``wait`` but its options; imported when it is called.

No store, no watch list, no sink is opened here: it works where they cannot be used.
"""
