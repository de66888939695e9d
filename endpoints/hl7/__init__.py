"""The two sides of MLLP. `endpoints.mllp` is the door to them."""
