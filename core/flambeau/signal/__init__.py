"""Signal processing."""

from flambeau.signal import windows as windows
