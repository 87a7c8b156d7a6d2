"""The rows, a module for each kind of work. Every module here is loaded; there is no list to keep."""
