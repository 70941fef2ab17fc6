"""The program inside the sandbox: standard library only, sent over the stream at start.

Two processes run it. The *judge server* holds tests and talks to the controller. The *zygote*
holds no test and forks a locked-down child for each candidate. See `server` and `zygote`.
"""
