"""The two sides of kind `database`: statements, engines, values, and what a database's errors mean."""
