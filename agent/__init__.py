"""The Greenroom agent: reads the real state of a meeting-room device and reports it.

A program of its own: it imports nothing of the server and needs only requests, psutil and cryptography.
"""

__version__ = "0.1.0"
