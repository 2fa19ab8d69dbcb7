"""The tasks: data, not code. One definition serves every source of rows."""
