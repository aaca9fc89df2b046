"""What goes over wires, sans I/O: bytes in, events out.

Nothing here opens a socket, waits, or reads a clock; whoever holds the socket feeds these machines
and sends what they return. Everything that comes in is taken for hostile until it is decoded.
"""
