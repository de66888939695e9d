"""What can be asked of an insurance centre besides its transactions: an operation a file, its name the file's."""
