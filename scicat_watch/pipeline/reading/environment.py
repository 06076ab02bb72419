"""What of the daemon's environment the processes that read data files get to see."""

from __future__ import annotations

from collections.abc import Mapping

_KEPT = frozenset(
    {"PATH", "LANG", "LANGUAGE", "TZ", "HOME", "TMPDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "PYTHONPATH", "PYTHONHOME",
     "PYTHONNOUSERSITE", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
     "LD_LIBRARY_PATH"}
)  # fmt: skip
_KEPT_BEGINNINGS = ("LC_", "HDF5_")
_DROPPED = frozenset({"HDF5_PLUGIN_PATH", "HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX"})
"""Would make HDF5 load code, or look for linked files, from directories that a data owner may write to."""
_SET = {
    "HDF5_USE_FILE_LOCKING": "FALSE",
    # Threads of the algebra library would cost address space and gain nothing here.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # No code from the directory in which the daemon, or an ESS command, was started.
    "PYTHONSAFEPATH": "1",
}


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """What is harmless of an environment: paths, language and time zone, and how to find Python; no secrets."""
    kept = {name: value for name, value in environment.items() if name in _KEPT or name.startswith(_KEPT_BEGINNINGS)}
    return {name: value for name, value in kept.items() if name not in _DROPPED} | _SET
