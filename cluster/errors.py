"""What can go wrong between a program and a cluster.

ClusterError (ConnectionError)     the cluster does not answer, or lacks what a caller asks of it
└── PolicyError (ValueError)       the operator's policy for the queue says something impossible
"""


class ClusterError(ConnectionError):
    """The cluster does not answer, or lacks what a caller asks; the text is one message for a person."""


class PolicyError(ClusterError, ValueError):
    """The operator's policy for the queue says something impossible, or cannot be read."""
