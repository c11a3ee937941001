"""What can go wrong between a study and Ray.

ClusterError (ConnectionError)     the cluster does not answer, or lacks what is asked of it
"""


class ClusterError(ConnectionError):
    """The cluster does not answer, or lacks what is asked of it; the text is one message for a person."""
