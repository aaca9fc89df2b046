"""The pure heart: who carries what, and what happens to an order.

Everything here decides and nothing acts. A machine is a frozen state and two functions, `step` and
`wakes_at`; time, ids and randomness come as arguments. Nothing here may import trio, a database
driver, a logger or a clock, so that a day can be replayed byte for byte.
"""
