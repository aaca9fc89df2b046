"""People who know nothing but the public protocol: HTTP, and the two sockets.

What they decide is pure (`courier.py`, `customer.py`, `restaurant.py`: frames in, frames out, time
as an argument); how they are connected is apart from it (`line.py` by trio-websocket, `flood.py` by
plain sockets, for thousands in one process). `run.py` is `dispatch load`; `simulations.living` is
the city of `dispatch demo`.
"""
