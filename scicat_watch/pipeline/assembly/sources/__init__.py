"""Where the variables of a metadata schema get their values, one module for each source."""
