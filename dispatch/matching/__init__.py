"""Rounds: who carries what, decided for a whole market at once.

A round is a pure function of what is known at its instant. `snapshot` holds that knowledge as
arrays, `problem` adds the travel times and prices a solver needs, `solvers` names the ways of
making a `plan`, `schedule` says when everything in a plan would happen, and `departures` says what
of it has to be told to a courier now. Whatever need not be told now stays open, and the next round
may plan it anew.

Nothing here may read a clock, draw a random number, log, or know of an order not yet placed.
"""
