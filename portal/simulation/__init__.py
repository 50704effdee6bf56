"""A fleet that is not there: rooms as small state machines that speak to the real HTTP API like devices do."""
