"""Chaos on real processes: a city's day while nodes and servers are killed, stopped and restarted.

Clients speak to real nodes over real links and write down what they were told; afterwards all of it
is held against the database. Nothing here looks into a node: what counts is what a phone was told.
"""
