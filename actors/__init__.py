"""Virtual actors: the kernel that runs the machines, and the shard that makes them durable.

An actor is a row in memory, not a task. `kernel` moves states and messages and never awaits;
`shard` gives one kernel its two tasks, one that drains and one that commits, and lets nothing out
before the commit it belongs to. What the shard needs from the outside are the Protocols of `ports`.
No code here knows what an order is: that is said by a `Kind`, a thin file for each.
"""
