"""Files that start a cluster: one machine (compose), AWS and own machines (ray up), Kubernetes (KubeRay). OPERATIONS.md tells how."""
