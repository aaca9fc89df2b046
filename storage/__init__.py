"""Where committed batches are kept: each store takes the same rows and gives the same answers.

A store knows rows of bytes and the rules of `dispatch.journal`, and nothing of actors. All of them
pass one conformance suite, so that what runs on memory in a simulation runs on a database too.
"""
