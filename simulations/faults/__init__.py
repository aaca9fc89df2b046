"""A cluster under fire, on virtual time: what breaks machines and networks, and what must hold.

Several nodes of the production code share memory stores that fail on purpose, by a schedule that
follows from a seed. A town of clients speaks to them, tries again with the same ids, and remembers
what it was told. First anything may fail, and safety must hold after every step; then all faults
stop, and everything that was begun must come to its end. A seed that fails can be run again.
"""
