"""SciCat: what its API is asked, how a stored dataset differs from a bundle, and publishing that is safe to repeat."""
