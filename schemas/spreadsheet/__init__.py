"""Excel files: what may be read of an archive, and the cells of a sheet as text."""
