"""What can go wrong between a program and a cluster.

ClusterError (ConnectionError)     the cluster does not answer, or lacks what a caller asks of it
"""


class ClusterError(ConnectionError):
    """The cluster does not answer, or lacks what a caller asks; the text is one message for a person."""
