"""The one way in which bytes from outside are refused."""


class InvalidInput(ValueError):  # noqa: N818  (a value is invalid; nothing went wrong here)
    """Something received is not what it must be.

    `code` is stable and taken from PROTOCOL.md §10 where it names one (`invalid-identifier`,
    `invalid-element`, `malformed`, `bad-signature`, …). Neither the code nor the text of this
    exception ever repeats what was received.
    """

    def __init__(self, code: str) -> None:
        """Remember `code`, which is also all that is printed."""
        super().__init__(code)
        self.code = code
