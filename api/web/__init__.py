"""The pages that an instance serves: built files, templates and languages, as ready bytes."""


class PagesError(Exception):
    """The pages cannot be served; the text names the file and the mend, and repeats no content."""
