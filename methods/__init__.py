"""The methods: one file each, and each reads like its paper."""
