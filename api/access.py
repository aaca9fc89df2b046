"""The one way to an object: whoever asks for it gets it here, or hears that there is no such thing.

What is not his answers exactly as what does not exist (404), so that nobody learns from a refusal
what others have. Endpoints and sockets reach no object by any other way; a test over the tree holds
that.
"""
