"""Files that start a cluster, which `cluster/OPERATIONS.md` describes.

Compose starts one machine, `ray up` AWS or own machines, KubeRay pods on Kubernetes.
"""
