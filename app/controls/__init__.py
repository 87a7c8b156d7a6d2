"""Controls in one declarative table: widgets, fields of a spec, parameters of the URL."""
