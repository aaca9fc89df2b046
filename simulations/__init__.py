"""Cities that do not exist, run by the code that runs those that do, and how their days are shown.

A simulation is the production composition on virtual time; what it measured is a `day`, and a day
is shown in the `terminal`, `live` while it happens, or as a `report` to keep.
"""
