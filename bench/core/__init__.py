"""What everything stands on: errors, settings, registries, hashes, files, the hub, provenance."""
