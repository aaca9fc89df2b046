"""The business around the core: one package a service, none of which knows another.

A service's `rules` decide and import nothing that acts; its `ports` are what it needs from outside;
a file named after a vendor is that vendor's adapter.
"""
