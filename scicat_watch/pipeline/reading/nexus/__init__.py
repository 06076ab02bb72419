"""NXS: NeXus and other HDF5 files: links, fields, values by path, trees and default plots."""
