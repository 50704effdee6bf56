"""What can go wrong, named for what the agent does about it. Each message is one line for a person."""


class AgentError(Exception):
    """Ends a command with its message on one line, without a traceback."""


class ServiceError(AgentError):
    """The service could not be asked or did not do what it was asked.

    `status` is the HTTP status, 0 if there was no HTTP answer. `retry_after_s` is what the answer's
    Retry-After said, in seconds, or None.
    """

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class NoAnswer(ServiceError):
    """Nobody answered: no route, no name, refused connection, time-out, broken TLS."""


class Unauthorized(ServiceError):
    """401: the key or token is not accepted (any longer)."""


class Revoked(Unauthorized):
    """401 with the code `revoked`: the device was shut out on purpose."""


class Refused(ServiceError):
    """The service understood and said no (400, 413, 422); the same request will not do better."""


class CannotKeep(AgentError):
    """The spool could not be written, most likely because the disk is full; nothing was changed."""
