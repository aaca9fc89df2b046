"""The edges: HTTP, the courier sockets and the streams, for everybody outside the cluster.

Whatever comes in here is hostile until it is decoded, and nobody's until `api.access` says whose it
is. Nothing is decided here: actors and services decide, and the edge tells what they said.
"""
