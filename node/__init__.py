"""One running process: the composition root, and what runs beside the actors.

Here, and nowhere else, the pure machines, the kernel, a store and a solver are fitted together.
What runs in production and what runs in a simulation differ only in the ports they are handed.
"""
