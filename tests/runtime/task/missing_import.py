"""A module with a dependency that was not deployed."""

from no_such_module_anywhere import app as app
