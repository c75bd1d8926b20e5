"""What can be typed in a container or on a node: a small POSIX shell, simulated processes and their file tree.

It stands for the Linux kernel, busybox and bash as far as containers in lessons need them. A process is a Python
generator that the loop drives, so `sleep` and blocking reads pass in virtual time. Nothing typed here runs on,
or reads, the real machine outside the folders that a container was given. Left out: job control, and
users' permissions.
"""
