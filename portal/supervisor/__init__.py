"""`make run`: one supervisor for every process of an installation on one machine.

It needs the standard library and `foundation.embedded` only: no Django, so it starts at once, stays small and
survives whatever keeps the portal itself from starting.
"""
