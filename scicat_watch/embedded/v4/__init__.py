"""Version 4 of SciCat's REST API, as views of what the catalogue does."""
