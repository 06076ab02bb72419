"""Configuration: the documented model, and reading it from files in whatever dialect a site has."""
