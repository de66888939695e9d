"""Who may call a web door. `endpoints.web` asks `admission` before a door sees anything of a request."""
