"""Makes it happen: the only folder with a clock, a broker and a database."""
