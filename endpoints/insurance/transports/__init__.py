"""How a province's gateway is spoken to, by name: what secures a call, whose envelope is unsigned."""
