"""A layer over Ray for programs that share a cluster.

It knows addresses, commands and resources, and nothing of what the programs do.

Its words:

- A **job** is a command that Ray's job server runs on the cluster.
- A **slot** is what one process gets of the cluster: CPUs, and whole GPUs or a share of one GPU.
- A **tenant** is a program that asks for slots. Its name stays the same when the program starts again.
- A **user** is the person to whom a tenant belongs. Slots are shared among users, then among their tenants.
- A **node** is one machine of the cluster. The **head** is the node with the job server and the dashboard.
"""
