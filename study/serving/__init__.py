"""A champion that answers requests: the application, batches, changes of the champion, a shadow."""
