"""Files on disk: atomic writes, the cache of stage results, shared clips."""
