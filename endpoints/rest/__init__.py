"""The two sides of HTTP. `endpoints.http` is the door to them."""
