"""All SQL, a class a table group. It never commits."""
