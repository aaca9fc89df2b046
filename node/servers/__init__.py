"""Postgres and Valkey from wheels, kept running by a small process of their own.

`python -m node.servers FOLDER` starts both under the folder, says where they are in one line of
JSON, starts again what crashes, and ends them in order when its input closes: so they never outlive
whoever started it. It is plain synchronous code with a single thread, because what makes a server
end with its parent is bound to the thread that started it. Nothing here knows of dispatching; the
node meets it through `node/embedded.py`.
"""
