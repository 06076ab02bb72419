"""The rooms put together: the daemon, the one-shot, the preview. `site` is the only place that wires."""
