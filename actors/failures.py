"""What goes wrong with actors, by who has to be told.

The first two end an `ask` and belong to the asker. The other two climb the ladder of supervision:
a shard that fails is recovered from its journal, a node that fails ends its process with an error.
"""


class ActorFailed(Exception):
    """The handler of the message asked with raised; the actor's state is as it was before."""


class ActorGone(Exception):
    """The shard of the actor stopped or was dropped: whether the message counted is not known.

    The asker asks again with the same ids; a message that did count is answered the same way.
    """


class ShardFailed(Exception):
    """The shard cannot go on from what it has in memory and must be recovered from its journal."""


class JournalAway(ShardFailed):
    """The journal does not answer: nobody's fault here, and no reason to end the node."""


class NodeFailed(Exception):
    """Recovering shards did not help; the process must end and give its leases up."""
