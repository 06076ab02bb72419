"""Version 3 of SciCat's REST API, as views of what the catalogue does."""
