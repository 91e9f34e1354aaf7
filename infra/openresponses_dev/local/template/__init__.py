"""The SAM template, read as a deploy would read it."""
