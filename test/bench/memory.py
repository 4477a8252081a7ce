"""The agent's peak memory, for images that are larger than a small guest's memory and for decoders that want much."""
from write import measure_memory as measure  # noqa: F401
