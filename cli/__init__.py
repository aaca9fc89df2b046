"""The commands people type, a thin file each.

A command reads its options, calls one thing below, and shows the result: a table for a person, one
JSON document with `--json`. What a user gets wrong ends in one sentence on stderr and exit code 2,
never in a traceback.
"""
